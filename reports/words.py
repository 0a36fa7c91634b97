"""Numbers and lists as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

METRICS = {"top1": "top-1", "mean_per_class": "mean per class", "map11": "11-point mAP", "miou": "mean IoU"}
PROTOCOLS = {"linear-byol": "linear probe", "fewshot-5": "20 draws", "knn": "nearest neighbours"}


def percent(value: float | None) -> str:
    """A fraction as per cent with one decimal; nothing for a missing number.

    >>> percent(0.8125), percent(-0.01), percent(None)
    ('81.2', '−1.0', '')
    """
    return "" if value is None else f"{100 * value:.1f}".replace("-", "−")


def signed(value: float | None) -> str:
    """A change with its sign, a true minus, and one decimal.

    >>> signed(0.26), signed(-4.39), signed(-0.01), signed(None), signed(math.inf)
    ('+0.3', '−4.4', '0.0', '', '+∞')
    """
    if value is None:
        return ""
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


def number(value: float | None, decimals: int = 2) -> str:
    """A number with so many decimals; nothing for a missing one.

    >>> number(1.005, 1), number(None)
    ('1.0', '')
    """
    return "" if value is None else f"{value:.{decimals}f}"


def roughly(count: int) -> str:
    """A number that is a guess, with two digits; it is not rounded down.

    >>> roughly(7), roughly(5436), roughly(1_234_567)
    ('7', '5,500', '1,300,000')
    """
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // step) * step:,}"


def scale(most: float, powers: bool = False) -> tuple[float, str]:
    """What to divide numbers of this size by, and how an axis or a head says so; by powers of ten where those are usual.

    >>> scale(9_999), scale(25_600), scale(3e7), scale(3.1e12, powers=True)
    ((1.0, ''), (1000.0, ', thousands'), (1000000.0, ', millions'), (1000000000000.0, ', 10¹²'))
    """
    power = 0 if most < (1e3 if powers else 1e4) else int(math.log10(most) + 1e-9) // 3 * 3
    named = {} if powers else {3: "thousands", 6: "millions"}
    words = named.get(power, "10" + str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")))
    return 10.0**power, f", {words}" if power else ""


def joined(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> joined(["a"]), joined(["a", "b", "c"]), joined(["Cats, by breed", "b"])
    ('a', 'a, b and c', 'Cats, by breed; and b')
    """
    if len(names) == 1:
        return names[0]
    if any(", " in name for name in names):
        return f"{'; '.join(names[:-1])}; and {names[-1]}"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def several(names: Sequence[str], most: int = 3) -> str:
    """Names in a sentence, the last ones only counted where there are many.

    >>> several(["a", "b"]), several(["a", "b", "c", "d", "e"])
    ('a and b', 'a, b, c and 2 others')
    """
    return joined(names) if len(names) <= most + 1 else f"{', '.join(names[:most])} and {len(names) - most} others"


def counted(count: int, one: str, more: str | None = None) -> str:
    """A count with its noun.

    >>> counted(1, "task"), counted(2000, "image")
    ('1 task', '2,000 images')
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def verb(names: Sequence[str] | str, one: str, more: str) -> str:
    """The verb that goes with these names; pixels are many.

    >>> verb("Pixels", "keeps", "keep"), verb(["a"], "lacks", "lack")
    ('keep', 'lacks')
    """
    names = [names] if isinstance(names, str) else list(names)
    return more if len(names) > 1 or names == ["Pixels"] else one
