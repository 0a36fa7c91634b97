"""Where arithmetic runs: cpu or cuda, threads, and which FAISS is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from relic_eval.errors import ArgumentError, RelicError

if TYPE_CHECKING:
    from torch import Tensor

FAISS_WHEELS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs", "faiss-gpu-cu12", "faiss-gpu-cu11")


def installed_faiss() -> list[str]:
    """The FAISS wheels that are installed, by distribution name; importing none of them.

    >>> isinstance(installed_faiss(), list)
    True
    """
    found = []
    for name in FAISS_WHEELS:
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def faiss_flavour() -> str | None:
    """The one FAISS wheel that is installed, or None: then exact blocked search in torch gives the same answers.

    Raises RelicError where two wheels are installed: they own the same folder, and the last one written has damaged the other.

    >>> faiss_flavour() in (None, "faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs", "faiss-gpu-cu12", "faiss-gpu-cu11")
    True
    """
    wheels = installed_faiss()
    if len(wheels) > 1:
        raise RelicError(
            f"expected one FAISS wheel, received {' and '.join(wheels)}, which overwrite each other's files. "
            f"Type: pip uninstall -y {' '.join(wheels)} && pip install {wheels[0]}"
        )
    if wheels:
        return wheels[0]
    # a conda build has the module without one of these distributions
    return "faiss-cpu" if importlib.util.find_spec("faiss") else None


def try_faiss() -> str:
    """Search once with FAISS in a process of its own, so that a crash is reported and not suffered.

    >>> try_faiss() in ("works", "not installed") or try_faiss().startswith("fails")
    True
    """
    if faiss_flavour() is None:
        return "not installed"
    code = (
        "import torch, numpy as np, faiss; i = faiss.IndexFlatL2(2); x = np.eye(2, dtype='float32'); i.add(x);"
        "assert i.search(x, 1)[1].ravel().tolist() == [0, 1]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 0:
        return "works"
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"fails (exit {done.returncode}: {last})"


def device(name: str = "auto") -> str:
    """`cpu` or `cuda` from `auto`, `cpu`, `cuda` or `cuda:1`; a device asked for and not there is an error.

    On CUDA torch is asked for the same bytes in every run; on the CPU it gives them without.

    >>> device("cpu")
    'cpu'
    """
    if name.split(":")[0] not in ("auto", "cpu", "cuda"):
        raise ArgumentError("device", "auto, cpu, cuda or cuda:N", repr(name))
    if name == "cpu":
        return name
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if not torch.cuda.is_available():
        if name == "auto":
            return "cpu"
        raise ArgumentError("device", "a CUDA device", "none that torch can see", "Use --device cpu.")
    torch.use_deterministic_algorithms(True, warn_only=True)
    return "cuda" if name == "auto" else name


@contextmanager
def float32() -> Iterator[None]:
    """Convolutions of float32 on CUDA in float32: cuDNN's default rounds what is multiplied to ten bits, and features by a thousandth.

    >>> with float32():
    ...     pass
    """
    import torch

    if not torch.cuda.is_available():
        yield
        return
    place: Any = torch.backends.cudnn
    name: str = "allow_tf32"
    exact: Any = False
    try:
        before = getattr(place, name)
    except RuntimeError:  # somebody set the switch by its newer name, after which torch refuses to read this one
        place, name, exact = place.conv, "fp32_precision", "ieee"
        before = getattr(place, name)
    setattr(place, name, exact)
    try:
        yield
    finally:
        setattr(place, name, before)


def tensor(array: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory where it may; an array that must not be written to is copied.

    >>> tensor(np.ones(2)).tolist()
    [1.0, 1.0]
    """
    import torch

    return torch.from_numpy(array if array.flags.writeable else array.copy())


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on; no package is imported for it.

    >>> sorted(versions())[:2]
    ['numpy', 'pillow']
    """
    names = ("numpy", "torch", "torchvision", "scikit-learn", "pillow")
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in (*names, "relic-eval"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
