"""How networks of each library give their features, and the map or the tokens that these are pooled from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from relic_eval.errors import ArgumentError


@dataclass(frozen=True)
class Family:
    """What is done with a network of one library. A map is (N, D, h, w), tokens are (N, T, D)."""

    pooled: Callable[[nn.Module, Tensor], Any]  # the network's own features (N, D)
    last: Callable[[nn.Module, Tensor], Any]  # the map or tokens before they are pooled
    prefix: Callable[[nn.Module, Tensor, int], int]  # how many of so many tokens stand before those of the patches
    nhwc: Callable[[nn.Module, str], bool]  # whether the maps of a layer of this name have their channels last


def family_of(network: nn.Module) -> Family:
    """The family that a network belongs to, by what it offers.

    >>> family_of(nn.Flatten()) is OTHER
    True
    """
    if hasattr(network, "maps"):
        return OWN
    place = type(network).__module__.split(".")[0]
    if place == "transformers":
        return TRANSFORMERS
    if place == "timm" or (hasattr(network, "forward_head") and hasattr(network, "forward_features")):
        return TIMM
    if place == "torchvision":
        return TORCHVISION
    return OTHER


def without_classifier(network: nn.Module) -> nn.Module:
    """A network of torchvision or timm whose output is what its last linear layer would be given; others as they are.

    >>> import torchvision
    >>> without_classifier(torchvision.models.get_model("resnet18")).fc
    Identity()
    """
    its: Any = network
    if hasattr(its, "reset_classifier"):
        its.reset_classifier(0)
        return network
    if type(network).__module__.split(".")[0] != "torchvision":
        return network
    for name in ("fc", "heads.head", "head", "classifier"):
        try:
            head = network.get_submodule(name)
        except AttributeError:
            continue
        if isinstance(head, nn.Sequential) and isinstance(head[-1], nn.Linear):
            head[-1] = nn.Identity()
        elif isinstance(head, nn.Linear):
            network.set_submodule(name, nn.Identity())
        elif not isinstance(head, nn.Identity):
            raise ArgumentError(
                "network", "a linear classifier at its end", f"{type(network).__name__}.{name}", "Name a layer="
            )
        return network
    return network


def grid_of(tokens_NTD: Tensor, x: Tensor) -> Tensor:
    """Tokens of patches as a map (N, D, h, w) with the proportions of the pictures.

    >>> grid_of(torch.zeros(1, 6, 4), torch.zeros(1, 3, 32, 48)).shape
    torch.Size([1, 4, 2, 3])
    """
    count, (high, wide) = tokens_NTD.shape[1], x.shape[-2:]
    rows = max(1, round(math.sqrt(count * high / wide)))
    if count % rows:
        raise ArgumentError("layer", f"tokens that fill a grid of {high} x {wide} pixels", f"{count} of them")
    return tokens_NTD.transpose(1, 2).unflatten(2, (rows, count // rows))


def _own(network: Any, x: Tensor) -> Any:
    return network(x)


def _never(network: Any, layer: str) -> bool:
    return False


def _no_prefix(network: Any, x: Tensor, tokens: int) -> int:
    return 0


def _timm_last(network: Any, x: Tensor) -> Tensor:
    y = network.forward_features(x)
    return y.permute(0, 3, 1, 2) if y.ndim == 4 and _timm_nhwc(network, "") else y


def _timm_nhwc(network: Any, layer: str) -> bool:
    return str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")


def _torchvision_last(network: Any, x: Tensor) -> Any:
    """What the pooling is given; of transformers all tokens, after their norm."""
    found: list[Any] = []
    if hasattr(network, "encoder"):
        handle = network.encoder.register_forward_hook(lambda m, given, made: found.append(made))
    elif hasattr(network, "avgpool"):
        handle = network.avgpool.register_forward_pre_hook(lambda m, given: found.append(given[0]))
    else:
        part = network.features if hasattr(network, "features") else network.blocks
        handle = part.register_forward_hook(lambda m, given, made: found.append(made))
    try:
        network(x)
    finally:
        handle.remove()
    return found[-1].relu() if type(network).__name__ == "DenseNet" else found[-1]


def _torchvision_nhwc(network: Any, layer: str) -> bool:
    return type(network).__name__ == "SwinTransformer" and layer.split(".")[0] in ("features", "norm")


def _hf_call(network: Any, x: Tensor) -> Any:
    import inspect

    more: dict[str, Any] = {}
    its_side = getattr(network.config, "image_size", None)
    if "interpolate_pos_encoding" in inspect.signature(network.forward).parameters and tuple(x.shape[-2:]) != (
        (its_side, its_side) if isinstance(its_side, int) else tuple(its_side or ())
    ):
        more["interpolate_pos_encoding"] = True
    return network(pixel_values=x, **more)


def _hf_pooled(network: Any, x: Tensor) -> Tensor:
    """The network's own pooled output; of one without, its first token where that stands for the picture, or the mean."""
    made = _hf_call(network, x)
    if getattr(made, "pooler_output", None) is not None:
        return made.pooler_output.flatten(1)
    y = made.last_hidden_state
    if y.ndim == 4:
        return y.mean((2, 3))
    return y[:, 0] if _hf_prefix(network, x, y.shape[1]) else y.mean(1)


def _hf_prefix(network: Any, x: Tensor, tokens: int) -> int:
    """All tokens but those of the patches, which the picture's size and the patch's tell; stages that merge have none."""
    patch = getattr(network.config, "patch_size", None)
    if patch is None or hasattr(network.config, "depths"):
        return 0
    high, wide = (patch, patch) if isinstance(patch, int) else patch
    return max(0, tokens - (x.shape[-2] // high) * (x.shape[-1] // wide))


def _other_last(network: Any, x: Tensor) -> Any:
    """A map or tokens of a network of no known library: by the names that such functions usually have."""
    for name in ("forward_features", "extract_features"):
        if hasattr(network, name):
            y = getattr(network, name)(x)
            if isinstance(y, dict) and "x_norm_patchtokens" in y:  # DINOv2's own code
                parts = [y["x_norm_clstoken"].unsqueeze(1), y.get("x_norm_regtokens"), y["x_norm_patchtokens"]]
                return torch.cat([part for part in parts if part is not None], 1)
            return y
    if hasattr(network, "get_intermediate_layers"):  # DINO's own code
        return network.get_intermediate_layers(x, 1)[0]
    y = network(x)
    if not isinstance(y, Tensor) or y.ndim < 3:
        raise ArgumentError(
            "layer", f"the layer of {type(network).__name__} whose map or tokens are wanted", "none", "Add layer=NAME."
        )
    return y


def _other_prefix(network: Any, x: Tensor, tokens: int) -> int:
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    if patch is None:
        return 0
    high, wide = (patch, patch) if isinstance(patch, int) else patch
    return max(0, tokens - (x.shape[-2] // high) * (x.shape[-1] // wide))


OWN = Family(_own, lambda network, x: network.maps(x), _no_prefix, _never)  # type: ignore[operator]
TIMM = Family(_own, _timm_last, lambda network, x, tokens: int(getattr(network, "num_prefix_tokens", 0)), _timm_nhwc)
TORCHVISION = Family(
    _own, _torchvision_last, lambda network, x, tokens: int(hasattr(network, "class_token")), _torchvision_nhwc
)
TRANSFORMERS = Family(_hf_pooled, lambda network, x: _hf_call(network, x).last_hidden_state, _hf_prefix, _never)
OTHER = Family(_own, _other_last, _other_prefix, _never)
