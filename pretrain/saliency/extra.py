"""The libraries of the extra `saliency`, imported where a maker needs them."""

from __future__ import annotations

import importlib
from types import ModuleType

from relic_eval.errors import RelicError

LIBRARIES = {"skimage": "scikit-image", "cv2": "opencv-contrib-python-headless"}


def need(module: str, maker: str) -> ModuleType:
    """A module of the extra, or an error that says how to install it.

    >>> need("cv2.nothing", "spectral")
    Traceback (most recent call last):
    ...
    relic_eval.errors.RelicError: masks by spectral: expected opencv-contrib-python-headless to be installed, received none.
    Type: pip install 'relic-eval[saliency]'.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        library = LIBRARIES[module.split(".")[0]]
        raise RelicError(
            f"masks by {maker}: expected {library} to be installed, received none. "
            "Type: pip install 'relic-eval[saliency]'."
        ) from None
