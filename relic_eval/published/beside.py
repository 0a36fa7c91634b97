"""Which published numbers belong beside which of ours."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from relic_eval.board import Board, Cost
from relic_eval.published.read import Published, published

LIKE_FOR_LIKE = re.compile(r"ImageNet(?!, RandAugment|, without)")  # of the table of larger networks
RESNETS = re.compile(r"resnet\d+(-\dx)?$")
SIZES = {"small": "s", "base": "b", "large": "l", "huge": "h", "tiny": "t"}


@dataclass(frozen=True)
class Own:
    """A model of one's own: millions of parameters, and top-1 of the linear probe on ImageNet in per cent."""

    name: str
    parameters_m: float
    top1: float


def published_beside(board: Board, networks: Collection[str] = ()) -> dict[int, tuple[Published, ...]]:
    """By the number of a column: published numbers of the same task, protocol, metric and number of test images.

    Of these networks (`network_of` names an encoder's), or of all. Columns without any are left out.

    >>> published_beside(Board(None, (), (), ()))
    {}
    """
    rows, found = published(), {}
    for number, column in enumerate(board.columns):
        its = tuple(
            p
            for p in rows
            if (p.task, p.protocol, p.metric) == (column.task, column.protocol, column.metric)
            and p.n in (None, column.n)
            and (not networks or p.network in networks)
        )
        if its:
            found[number] = its
    return found


def network_of(kind: str) -> str:
    """The network that an encoder's kind names, as the tables call it; empty where they have no such name.

    >>> [network_of(k) for k in ("timm:resnet50.a1_in1k", "file:resnet50-2x", "random:resnet18-32px", "timm:wide_resnet50_2")]
    ['resnet50', 'resnet50-2x', '', '']
    >>> [network_of(k) for k in ("timm:vit_small_patch16_224.dino", "hub:facebookresearch/dino:main/dino_vitb8")]
    ['vit-s/16', 'vit-b/8']
    >>> network_of("timm:swin_tiny_patch4_window7_224")
    'swin-t/w7'
    """
    name = kind.partition(",")[0].lower()
    if found := re.search(r"(?:^|[:/]|dino_)(resnet\d+)(-\dx)?(?:$|[./])", name):
        return found[1] + (found[2] or "")
    if found := re.search(r"(?:^|[:/])vit_(small|base|large|huge)_patch(\d+)_", name):
        return f"vit-{SIZES[found[1]]}/{found[2]}"
    if found := re.search(r"(?:^|[:/])(?:dino_)?vit_?([sblh])_?(\d+)(?:$|[./])", name):
        return f"vit-{found[1]}/{found[2]}"
    if found := re.search(r"(?:^|[:/])swin_(tiny|small|base)_patch4_window(\d+)_", name):
        return f"swin-{SIZES[found[1]]}/w{found[2]}"
    return ""


def own_models(board: Board, costs: Mapping[str, Cost]) -> tuple[Own, ...]:
    """The encoders of a board that have ImageNet's linear probe and a known number of parameters.

    >>> own_models(Board(None, (), (), ()), {})
    ()
    """
    wanted = ("imagenet", "linear-imagenet")
    place = next((i for i, c in enumerate(board.columns) if (c.task, c.protocol) == wanted), None)
    if place is None:
        return ()
    return tuple(
        Own(row.encoder, count / 1e6, 100 * entry.value)
        for row in board.rows
        if (entry := row.entries[place]) and (count := costs.get(row.encoder, Cost()).parameters)
    )


def larger_networks(own: Sequence[Own] = ()) -> list[dict[str, str]]:
    """ImageNet top-1 of ResNets by size, a column a method; `own` models have rows and a column of their own.

    Where sources disagree all they say stands there; what is not verified stands in parentheses.

    >>> larger_networks([Own("mine", 30.0, 70.04)])[1]["yours"]
    '70.0'
    """
    methods = ["Supervised", "Supervised, RandAugment", "SimCLR", "SimCLR v2", "BYOL", "C-BYOL", "SwAV", "RELICv2"]
    rows: dict[tuple[float, str], dict[str, str]] = {}
    for p in published():
        if (p.task, p.protocol, p.metric) != ("imagenet", "linear-imagenet", "top1") or not RESNETS.match(p.network):
            continue
        method = f"{p.method}, RandAugment" if "RandAugment" in p.pretraining else p.method
        if method not in methods or not (LIKE_FOR_LIKE.match(p.pretraining) or "RandAugment" in p.pretraining):
            continue
        key = (p.parameters_m or float("inf"), p.network)
        row = rows.setdefault(key, dict.fromkeys(("network", "parameters_m", *methods, "yours"), ""))
        row |= {"network": p.network, "parameters_m": "" if p.parameters_m is None else f"{p.parameters_m:g}"}
        said = f"{p.value}" if p.verified else f"({p.value})"
        if said not in row[method].split(" / "):
            row[method] = f"{row[method]} / {said}".strip(" /")
    for o in own:
        empty = dict.fromkeys(methods, "")
        rows[(o.parameters_m, o.name)] = {
            "network": o.name,
            "parameters_m": f"{o.parameters_m:.1f}",
            **empty,
            "yours": f"{o.top1:.1f}",
        }
    return [rows[key] for key in sorted(rows)]
