"""Foreground masks without labels: makers of saliency (a file a way), the threshold, and masks made once and stored."""

from pretrain.saliency.border import saliency_masks
from pretrain.saliency.threshold import otsu

__all__ = ["otsu", "saliency_masks"]
