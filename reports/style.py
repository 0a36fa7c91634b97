"""Names, colours and marks of encoders, the same in every figure of every report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TITLES = {
    "pixels": "Pixels",
    "random": "Random initialisation",
    "supervised": "Supervised",
    "simclr": "SimCLR",
    "byol": "BYOL",
    "relic": "RELIC",
    "relicv2": "RELICv2",
}
NARROW = {"random": "Random init."}  # where the title does not fit
# Okabe and Ito's colours, fixed by name, each with a mark and a dash, so that no figure depends on colour alone
KNOWN = {
    "relicv2": ("#d55e00", "circle", ""),
    "byol": ("#0072b2", "square", "6 3"),
    "simclr": ("#e69f00", "down", "10 4"),
    "relic": ("#332288", "hexagon", "5 5"),
    "supervised": ("#009e73", "triangle", "12 3"),
    "random": ("#7f7f7f", "cross", "8 3 2 3"),
    "pixels": ("#cc79a7", "diamond", "2 2.5"),
}
OTHERS = (
    ("#999933", "down", "7 2"),
    ("#56b4e9", "star", "4 2"),
    ("#b8a900", "plus", "12 3 2 3"),
    ("#661100", "hexagon", "9 2"),
    ("#882255", "circle", "3 2 8 2"),
    ("#44aa99", "square", ""),
)
# of the colours that are too dim on a dark page, lighter ones of the same hue
TWINS = {"#332288": "#7a68d8", "#661100": "#b25f52", "#882255": "#c03f86"}
PLAIN = ("pixels", "random")  # baselines that nothing was learned for
# ten steps of cividis, from near to far; the palest end is left out because it fades on white
CIVIDIS = ("#00224e", "#0c3470", "#36466c", "#52596d", "#696b71", "#807f78", "#999277", "#b5a86f", "#d0be62", "#eed649")


@dataclass(frozen=True)
class Look:
    """How an encoder looks wherever it is drawn."""

    name: str
    title: str
    colour: str
    mark: str
    dash: str


def looks(encoders: Iterable[str]) -> dict[str, Look]:
    """A look for each encoder: the known ones have theirs, others the free one that follows from their name.

    >>> look = looks(["mine", "byol"])["byol"]
    >>> look.title, look.colour, look.mark
    ('BYOL', '#0072b2', 'square')
    """
    found, free = {}, list(range(len(OTHERS)))
    for name in sorted(set(encoders)):
        if name in KNOWN:
            found[name] = Look(name, title(name), *KNOWN[name])
            continue
        free = free or list(range(len(OTHERS)))  # more names than looks: they come round again with another mark
        start = sum(name.encode()) % len(OTHERS)
        place = min(free, key=lambda p: (p - start) % len(OTHERS))
        free.remove(place)
        turn = sum(f.colour == OTHERS[place][0] for f in found.values())
        colour, _, dash = OTHERS[place]
        found[name] = Look(name, title(name), colour, OTHERS[(place + turn) % len(OTHERS)][1], dash)
    return found


def on_screen(colour: str) -> str:
    """A colour as a rule of style has it: on a dark screen its twin, where it has one.

    >>> on_screen("#0072b2"), on_screen("#332288")
    ('#0072b2', 'var(--332288,#332288)')
    """
    return f"var(--{colour[1:]},{colour})" if colour in TWINS else colour


def twin_rules() -> str:
    """Rules that draw twins on a dark screen. They are not in drawing.css: what is printed or saved keeps its colours.

    A rectangle keeps its colour too: it is a class of a picture of masks.
    """
    drawn = "".join(
        f':not(rect)[fill="{c}"]{{fill:{on_screen(c)}}}[stroke="{c}"]{{stroke:{on_screen(c)}}}' for c in TWINS
    )
    lit = ";".join(f"--{colour[1:]}:{twin}" for colour, twin in TWINS.items())
    system = f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{lit}}}}}"
    return f"{drawn}@media screen{{{system}:root[data-theme=dark]{{{lit}}}}}"


def title(encoder: str) -> str:
    """What people call an encoder.

    >>> title("byol"), title("mine")
    ('BYOL', 'mine')
    """
    return TITLES.get(encoder, encoder)


def short(name: str, longest: int = 24) -> str:
    """A title that fits beside an axis; of a long one both ends are kept, because names often differ only at the end.

    >>> short("relicv2"), short("random", longest=14), short("resnet50-batch-0256", longest=11)
    ('RELICv2', 'Random init.', 'resne…-0256')
    """
    text = title(name)
    if len(text) > longest:
        text = NARROW.get(name, text)
    return clipped(text, longest)


def clipped(text: str, longest: int = 40) -> str:
    """Any other name, such as that of a class, so that it fits: both ends of a long one.

    >>> clipped("pixels"), clipped("a long name of a class", 11)
    ('pixels', 'a lon…class')
    """
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return text[: longest - 1 - end] + "…" + text[len(text) - end :]
