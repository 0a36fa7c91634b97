"""A file a method: `parts` of the networks, `make_views`, `loss`. Listed by hand in `method`."""

from __future__ import annotations

from types import ModuleType

from relic_eval.errors import look_up


def method(name: str) -> ModuleType:
    """The module of a method.

    >>> method("byol").__name__
    'pretrain.methods.byol'
    """
    from pretrain.methods import byol, relicv2, supervised

    return look_up("method", name, {"supervised": supervised, "byol": byol, "relicv2": relicv2})
