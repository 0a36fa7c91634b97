"""ImageNet accuracy over parameters: ResNets of every method against transformers, with one's own models drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from relic_eval.published import Own, Published
from reports.drawings.frame import spread
from reports.figures.style import DIM, GRID, INK, SMALL, WIDTH, in_style, new_figure, wrapped
from reports.published import plain_pretraining
from reports.style import short

# method -> colour (Okabe and Ito's and Tol's) and mark; those of transformers are drawn dashed
LOOKS = {
    "RELICv2": ("#d55e00", "o"),
    "C-BYOL": ("#56b4e9", "D"),
    "BYOL": ("#0072b2", "s"),
    "SwAV": ("#882255", "h"),
    "SimCLR v2": ("#999933", "P"),
    "SimCLR": ("#e69f00", "v"),
    "Supervised": ("#009e73", "^"),
    "DINO": ("#332288", "*"),
    "MoCo v3": ("#44aa99", "X"),
    "EsViT": ("#cc79a7", "d"),
    "EsViT without regions": ("#aa4499", "p"),
    "MoBY": ("#661100", "<"),
}
RESNETS = (  # families of which a line is drawn: deeper, wider, and wider from the deepest on
    (("resnet50", "resnet101", "resnet152", "resnet200"), "-"),
    (("resnet50", "resnet50-2x", "resnet50-4x", "resnet50-5x"), ":"),
    (("resnet200", "resnet200-2x"), ":"),
)
NAMES = {24: "R50", 43: "R101", 60.5: "R152, R200", 94: "R50 2x", 250: "R200 2x", 375: "R50 4x", 586: "R50 5x"}
TICKS = (1, 3, 10, 25, 50, 100, 200, 400, 800)
BASE = "resnet50"
FAR = 200  # millions from which on words stand above a point: there is no room at its right
BESIDE = 5.0  # inches from which on the two stand side by side


@in_style
def scaling_figure(own: Sequence[Own] = (), *, width: float = WIDTH) -> Figure:
    """ResNet-50 of every method by name, and top-1 over parameters. Hollow: not verified; stars: `own` models.

    Side by side; beneath each other where the width is that of a column.
    """
    wide, rows = width >= BESIDE, plain_pretraining()
    if wide:
        figure, (strip, axes) = new_figure(2, width, 4.2, gridspec_kw={"width_ratios": [1.1, width / 2.8]})
    else:
        figure, (axes, strip) = new_figure(1, width, 7.2, 2)
    strong = [p for p in rows if p.network == BASE]
    _strip(strip, strong)
    _frame(axes, _curves(axes, rows), own)
    _own(axes, own)
    said = "Hollow: not verified. Solid lines: deeper ResNets, dotted: wider ones, dashed: transformers."
    said += " Black stars: your models." if own else ""
    figure.supxlabel(wrapped(said, width), fontsize=SMALL, x=0.01, ha="left", color=DIM)
    return figure


def _look(method: str) -> tuple[str, str]:
    return LOOKS.get(method, (DIM, "o"))


def _dot(axes: Any, x: float, p: Published, size: float = 5) -> None:
    colour, mark = _look(p.method)
    size *= 1.4 if mark == "*" else 1
    axes.plot(x, p.value, mark, color=colour, ms=size, mfc=colour if p.verified else "white", mew=1, zorder=3)


def _strip(axes: Any, rows: Sequence[Published]) -> None:
    """ResNet-50 of each method on a line upwards, names beside it."""
    rows = sorted(rows, key=lambda p: p.value)
    low, high = 63, 78
    axes.set(xlim=(0, 1), ylim=(low, high), xticks=[], ylabel="ImageNet top-1, linear probe, %")
    axes.set_title("ResNet-50 (24 M)", loc="left", size=8)
    places = spread([p.value for p in rows], (high - low) / 25, low + 0.3, high - 0.3)
    for p, place in zip(rows, places, strict=True):
        _dot(axes, 0.08, p)
        axes.plot([0.11, 0.19], [p.value, place], lw=0.5, color=DIM)
        axes.text(0.21, place, f"{p.value:.1f}  {p.method}", va="center", fontsize=SMALL, color=INK)
    axes.spines["bottom"].set_visible(False)
    axes.grid(axis="y")


def _curves(axes: Any, rows: Sequence[Published]) -> list[Published]:
    """Methods that have more than a ResNet-50, a line a family; returns all points."""
    drawn = []
    for method, (colour, _) in LOOKS.items():
        its = {p.network: p for p in rows if p.method == method}
        transformers = sorted((p for n, p in its.items() if not n.startswith("resnet")), key=_size)
        families = [([its[n] for n in names if n in its], line) for names, line in RESNETS] if not transformers else []
        families += [(family, "--") for family in _families(transformers)]
        for family, line in (pair for pair in families if pair[0]):
            axes.plot([_size(p) for p in family], [p.value for p in family], line, lw=1.1, color=colour)
            if line == "--" and len(families) > 1:
                _say(axes, family[-1], len(family) == 1)
        for p in transformers or its.values():
            _dot(axes, _size(p), p)
            drawn.append(p)
    return drawn


def _say(axes: Any, p: Published, whole: bool) -> None:
    """The patch or window of a family, or the whole name of one that is alone, beside its last point."""
    part = p.network.partition("/")[2]
    text = (
        p.network.replace("vit", "ViT").replace("bn-l", "BN-L")
        if whole
        else f"/{part}"
        if part.isdigit()
        else part.upper()
    )
    colour, place = _look(p.method)[0], (_size(p), p.value)
    far = _size(p) > FAR
    axes.annotate(
        text,
        place,
        (0, 5) if far else (5, -7 if part.isdigit() and not whole else -2),
        ha="center" if far else "left",
        textcoords="offset points",
        fontsize=SMALL,
        color=colour,
    )


def _families(rows: Sequence[Published]) -> list[list[Published]]:
    """Transformers of one patch or window, of which a line is drawn."""
    kinds = sorted({p.network.partition("/")[2] for p in rows})
    return [[p for p in rows if p.network.partition("/")[2] == kind] for kind in kinds]


def _size(p: Published) -> float:
    assert p.parameters_m is not None
    return p.parameters_m


def _own(axes: Any, own: Sequence[Own]) -> None:
    """Black stars with names, above the star and to the side that has more room."""
    low, high = axes.get_xlim()
    for o in own:
        left = np.log(o.parameters_m / low) > 0.7 * np.log(high / low)
        axes.plot(o.parameters_m, o.top1, "*", ms=11, color=INK, mec="white", mew=0.6, zorder=4)
        axes.annotate(
            short(o.name, 18),
            (o.parameters_m, o.top1),
            (-5 if left else 5, 4),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=SMALL,
            weight="bold",
            zorder=4,
        )


def _frame(axes: Any, drawn: Sequence[Published], own: Sequence[Own]) -> None:
    """Axes, and the name of each method at the right, from its best value down."""
    values = [p.value for p in drawn] + [o.top1 for o in own]
    span = max(values) - min(values)
    low, high = min(values) - 0.17 * span, max(values) + 0.05 * span
    least = min([18.0, *(0.8 * o.parameters_m for o in own)])
    most = max([780.0, *(1.6 * o.parameters_m for o in own)])
    axes.set_xscale("log")
    axes.set(xlim=(least, most), ylim=(low, high), xlabel="parameters, millions")
    ticks = [t for t in TICKS if least <= t <= most]
    axes.set_xticks(ticks, [f"{t}" for t in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    for size, name in NAMES.items():
        axes.axvline(size, color=GRID, lw=0.6, zorder=0)
        axes.annotate(
            name, (size, 0.012), (-1, 0), axes.get_xaxis_transform(), textcoords="offset points", fontsize=SMALL, color=DIM,
            rotation=90, ha="right", va="bottom",
        )  # fmt: skip
    axes.set_title("Larger ResNets, and transformers", loc="left", size=8)
    best = {method: max(p.value for p in drawn if p.method == method) for method in LOOKS}
    right = axes.get_yaxis_transform()
    for place, method in enumerate(sorted(best, key=lambda m: -best[m])):
        colour, mark = _look(method)
        y = high - (0.5 + place) * 0.06 * (high - low)
        axes.plot(1.03, y, mark, ms=4.5, color=colour, transform=right, clip_on=False)
        axes.annotate(method, (1.03, y), (6, 0), right, textcoords="offset points", va="center", fontsize=SMALL)
