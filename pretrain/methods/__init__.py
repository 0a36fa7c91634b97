"""A file a method: `heads`, `averaged` parts, `views` and `loss`. Listed by hand in `method`."""

from __future__ import annotations

from types import ModuleType

from relic_eval.errors import look_up


def method(name: str) -> ModuleType:
    """The module of a method.

    >>> method("byol").__name__
    'pretrain.methods.byol'
    """
    from pretrain.methods import byol, relic, relicv2, simclr, supervised

    known = {"supervised": supervised, "simclr": simclr, "byol": byol, "relic": relic, "relicv2": relicv2}
    return look_up("method", name, known)
