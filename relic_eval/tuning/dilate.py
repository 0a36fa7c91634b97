"""A ResNet whose last stage keeps the resolution: its stride goes, and what follows looks twice as far apart."""

from __future__ import annotations

from typing import Any

from torch import nn

from relic_eval.errors import ArgumentError


def dilate(module: nn.Module) -> nn.Module:
    """The same network with a last map twice as large, in place; the weights are what they were.

    The convolution that carried the stride keeps its dilation and every later one of 3 x 3 doubles its own, as
    torchvision's replace_stride_with_dilation does: at the even places the map is what it was without padding's doing.
    Raises ArgumentError for a network without stages such as a ResNet has.

    >>> from relic_eval.encoders.networks import build_network
    >>> import torch
    >>> dilate(build_network("thin-resnet", 1)).maps(torch.zeros(1, 1, 32, 32)).shape
    torch.Size([1, 128, 8, 8])
    """
    strided = False
    for block in _last_stage(getattr(module, "network", module)):
        for layer in block.modules():
            if isinstance(layer, nn.Conv2d):
                if not _centred(layer):
                    raise _unfit(module, f"a {type(layer).__name__} whose padding is not half its kernel")
                strided |= _dilate(layer)
            elif _halves(layer):
                raise _unfit(module, f"a {type(layer).__name__} of stride 2 in its last stage")
    if not strided:
        raise _unfit(module, "a last stage that does not halve the map")
    return module


def _last_stage(network: Any) -> list[nn.Module]:
    """Its blocks: `layer4` of torchvision's and timm's, of our own those from the last stride on."""
    if hasattr(network, "layer4"):
        return list(network.layer4)
    stages = getattr(network, "stages", None)
    if not isinstance(stages, nn.Sequential):
        raise _unfit(network, f"a {type(network).__name__}")
    blocks = list(stages)
    first = [place for place, block in enumerate(blocks) if any(_strided(layer) for layer in block.modules())]
    return blocks[first[-1] :] if first else []


def _strided(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.stride == (2, 2)


def _halves(layer: nn.Module) -> bool:
    """Pooling that halves: blocks name their stride too, and are none."""
    return next(layer.children(), None) is None and getattr(layer, "stride", 1) in (2, (2, 2))


def _centred(layer: nn.Conv2d) -> bool:
    """Whether as much is padded on each side as leaves the size to the stride: only so do the even places stay.

    Layers of a kind of their own without padding pad by their stride, as TensorFlow's and Haiku's SAME: they are taken, as
    dilated there, though what they pad at stride 2 lies more to one side.
    """
    if isinstance(layer.padding, str):
        return False
    if type(layer) is not nn.Conv2d and not any(layer.padding):
        return True
    each = zip(layer.kernel_size, layer.dilation, layer.padding, strict=True)
    return all(d * (k - 1) == 2 * p for k, d, p in each)


def _dilate(layer: nn.Conv2d) -> bool:
    """Whether the layer had a stride, which is gone now; one of 3 x 3 without looks twice as far."""
    if layer.stride == (2, 2):
        layer.stride = (1, 1)
        return True
    if layer.kernel_size != (1, 1):
        layer.dilation = tuple(2 * d for d in layer.dilation)
        layer.padding = tuple(2 * int(p) for p in layer.padding)
    return False


def _unfit(module: nn.Module, received: str) -> ArgumentError:
    hint = "Use segment-linear, which takes any encoder that gives maps."
    return ArgumentError("encoder", "a ResNet, whose last stage can be dilated", received, hint)
