"""How wide figures are printed: inches of a column and of the whole text at the usual venues."""

from __future__ import annotations

import math

from relic_eval.errors import ArgumentError, UnknownNameError

# (column, text); one number where text has one column. NeurIPS, ICLR, ICML, AISTATS, UAI, CVPR (and ICCV, WACV, which share its
# kit), AAAI, ECCV, JMLR and TMLR as in tueplots 0.2 (github.com/pnkraemer/tueplots, tueplots/figsizes.py), which names their
# author kits; LNCS is the 122 mm of ECCV's. ACM: acmart.cls, sigconf (506.3 pt, columns 2 pc apart). IEEE: IEEEtran.cls,
# conference (516 pt, columns 1 pc apart).
VENUES: dict[str, tuple[float, ...]] = {
    "neurips": (5.5,),
    "iclr": (5.5,),
    "icml": (3.25, 6.75),
    "aistats": (3.25, 6.75),
    "uai": (3.25, 6.75),
    "cvpr": (3.25, 6.875),
    "iccv": (3.25, 6.875),
    "wacv": (3.25, 6.875),
    "eccv": (4.8,),
    "lncs": (4.8,),
    "aaai": (3.3, 6.975),
    "jmlr": (6.0,),
    "tmlr": (6.5,),
    "acm": (3.33, 7.0),
    "ieee": (3.48, 7.14),
}
LEAST, MOST = 2.5, 20.0


def inches(width: str | float, columns: int | None = None) -> float:
    """The width of a figure over so many columns of a venue (one where they are not named), or as many inches as `width` says.

    >>> inches("icml"), inches("ICML", 2), inches("4.5"), inches(3)
    (3.25, 6.75, 4.5, 3.0)
    >>> inches("neurips", 2)
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --columns: expected 1, as neurips prints text in one column, received 2.
    """
    name = str(width).strip().lower()
    if name in VENUES:
        has = VENUES[name]
        if columns is not None and not 1 <= columns <= len(has):
            expected = "1 or 2" if len(has) == 2 else f"1, as {name} prints text in one column"
            raise ArgumentError("--columns", expected, f"{columns}")
        return has[(columns or 1) - 1]
    try:
        found = float(name)
    except ValueError:
        raise UnknownNameError("--width", str(width), VENUES, ", or a number of inches") from None
    if not math.isfinite(found) or not LEAST <= found <= MOST:
        raise ArgumentError("--width", f"{LEAST:g} to {MOST:g} inches", str(width))
    if columns is not None:
        raise ArgumentError("--columns", "none beside a width in inches", f"{columns}")
    return found
