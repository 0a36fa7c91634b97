"""Caches of the test's own, and pictures of odd shapes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Nothing is read of the user's caches, nothing written there, and no hub is asked."""
    for name, place in (("XDG_CACHE_HOME", "cache"), ("TORCH_HOME", "torch"), ("HF_HOME", "hf")):
        monkeypatch.setenv(name, str(tmp_path / place))
    for name in ("HF_HUB_CACHE", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody answers, on whatever machine
    return tmp_path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """PNG files: landscape, portrait, square and odd sizes, smooth and noisy."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    files = []
    for wide, high in ((320, 201), (199, 301), (256, 256), (131, 130), (97, 640), (500, 333)):
        ramp = np.add.outer(np.linspace(0, 120, high), np.linspace(0, 100, wide))[..., None]
        pixels = (ramp + rng.integers(0, 35, (high, wide, 3))).astype(np.uint8)
        files.append(folder / f"{wide}x{high}.png")
        Image.fromarray(pixels).save(files[-1])
    return files
