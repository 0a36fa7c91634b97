"""Names, colours and marks of encoders, the same in every figure of every report."""

from __future__ import annotations

TITLES = {
    "pixels": "Pixels",
    "random": "Random initialisation",
    "supervised": "Supervised",
    "byol": "BYOL",
    "relicv2": "RELICv2",
}
# Okabe and Ito's colours, fixed by name; names that are not here take the others in the order of the alphabet
COLOURS = {"relicv2": "#d55e00", "byol": "#0072b2", "supervised": "#009e73", "random": "#7f7f7f", "pixels": "#cc79a7"}
OTHERS = ("#e69f00", "#56b4e9", "#b8a900", "#332288", "#882255", "#44aa99")
DASHES = {"relicv2": "", "byol": "6 3", "supervised": "2 2", "random": "8 3 2 3", "pixels": "1 3"}
CIVIDIS = ("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838")


def title(encoder: str) -> str:
    """What people call an encoder.

    >>> title("byol"), title("mine")
    ('BYOL', 'mine')
    """
    return TITLES.get(encoder, encoder)


def colours(encoders: list[str]) -> dict[str, str]:
    """A colour for each encoder.

    >>> colours(["mine", "byol"])["byol"]
    '#0072b2'
    """
    rest = sorted(e for e in encoders if e not in COLOURS)
    return {e: COLOURS.get(e) or OTHERS[rest.index(e) % len(OTHERS)] for e in encoders}


def percent(value: float | None, signed: bool = False) -> str:
    """A fraction as per cent with one decimal; nothing for a missing number.

    >>> percent(0.8125), percent(None), percent(0.01, signed=True)
    ('81.2', '', '+1.0')
    """
    return "" if value is None else f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def short(name: str, longest: int = 24) -> str:
    """A title that fits beside an axis.

    >>> short("relicv2"), short("x" * 30, longest=5)
    ('RELICv2', 'xxxx…')
    """
    text = title(name)
    return text if len(text) <= longest else text[: longest - 1] + "…"
