"""The makers `spectral` and `fine`, from OpenCV's contributed modules. Both mark rims and texture more than whole objects."""

from __future__ import annotations

import numpy as np

from pretrain.saliency.extra import need
from pretrain.saliency.threshold import unit
from relic_eval.errors import RelicError


def spectral(pixels_NHWC: np.ndarray) -> np.ndarray:
    """Spectral residual (Hou and Zhang 2007): what is odd in the log spectrum of the greys.

    Saliency (N, H, W), from 0 to 1 in each picture.
    """
    return _opencv("StaticSaliencySpectralResidual", "spectral", pixels_NHWC)


def fine(pixels_NHWC: np.ndarray) -> np.ndarray:
    """Fine-grained saliency (Montabone and Soto 2010): centre against surround at six scales.

    Saliency (N, H, W), from 0 to 1 in each picture.
    """
    return _opencv("StaticSaliencyFineGrained", "fine", pixels_NHWC)


def _opencv(algorithm: str, maker: str, pixels_NHWC: np.ndarray) -> np.ndarray:
    cv2 = need("cv2", maker)
    if not hasattr(cv2, "saliency"):
        raise RelicError(
            f"masks by {maker}: expected OpenCV with its contributed modules, received one without. "
            "Type: pip uninstall opencv-python opencv-python-headless; pip install 'relic-eval[saliency]'."
        )
    make = getattr(cv2.saliency, f"{algorithm}_create")()
    out = np.zeros(pixels_NHWC.shape[:3], np.float32)
    for row, pixels in enumerate(pixels_NHWC):
        if (pixels == pixels[0, 0]).all():
            continue  # of one colour: only rounding would differ
        bgr = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels[..., ::-1]
        _, out[row] = make.computeSaliency(np.ascontiguousarray(bgr))
    return unit(out)
