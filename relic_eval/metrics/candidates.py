"""The rows with the largest float32 products with each query: from FAISS on CPU or GPU, or from torch on either.

They are proposals for `neighbours.nearest`, in no order; equal products at the end of a list are cut anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from relic_eval.devices import faiss_flavour
from relic_eval.errors import ArgumentError, look_up

if TYPE_CHECKING:
    from torch import Tensor

Found = tuple["Tensor", "Tensor"]  # products (Q, W) and the rows that they are with
Search = Callable[[np.ndarray, np.ndarray, int, int, "Found | None"], Found]

BACKENDS = {"faiss": "faiss", "torch": "torch"}
COLUMNS = 4096  # training rows of a tile of products
PIECE = 2048  # of them multiplied together: fastest on CPUs
GROUP = 8  # columns whose largest product is looked at first
TILE_BYTES = 16 << 20  # on CPUs: what a cache holds is picked from fastest
GPU_WIDTH = 2048  # FAISS selects no more on a GPU


def searcher(backend: str | None, device: str, memory: int) -> Search:
    """The search that `backend` names: (rows, queries, width, number of the first row, found so far) -> found by now.

    None takes FAISS where it is installed and works on the device ("cpu", "cuda", "cuda:1"), torch elsewhere. `memory`: bytes
    of its temporaries. Raises ArgumentError for FAISS where it is missing, or on a GPU that it cannot use.

    >>> search = searcher("torch", "cpu", 1 << 20)
    >>> search(np.array([[1.0], [3.0], [2.0]], np.float32), np.ones((1, 1), np.float32), 1, 0, None)[1].tolist()
    [[1]]
    """
    if backend is not None:
        look_up("backend", backend, BACKENDS)
    there, gpu = faiss_flavour() is not None, device != "cpu"
    if backend == "faiss" and not there:
        raise ArgumentError("backend", "FAISS to be installed", "none", "Type: pip install faiss-cpu, or take 'torch'.")
    if backend == "torch" or not there:
        return _torch(device, memory)
    import torch  # noqa: F401, I001  torch first: FAISS wheels that load their OpenMP or CUDA before it have crashed
    import faiss

    if gpu and not (hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus()):
        if backend == "faiss":
            raise ArgumentError(
                "device", "cpu, or a FAISS that uses GPUs", device, "Install faiss-gpu, or take 'torch'."
            )
        return _torch(device, memory)
    return _faiss_gpu(device, memory) if gpu else _faiss


def propose(blocks: Iterable[tuple[int, np.ndarray]], query: np.ndarray, width: int, search: Search) -> np.ndarray:
    """The rows (Q, width) with the largest products with each query over all blocks (first row, rows), in no order.

    >>> search = searcher("torch", "cpu", 1 << 20)
    >>> sorted(propose([(0, np.eye(2, dtype="f"))], np.ones((1, 2), "f"), 2, search)[0].tolist())
    [0, 1]
    """
    best: Found | None = None
    for start, train in blocks:
        best = search(train, query, width, start, best)
    assert best is not None
    return best[1].numpy()


def _faiss(train: np.ndarray, query: np.ndarray, width: int, start: int, best: Found | None) -> Found:
    import faiss

    # an index would copy the rows
    more = faiss.knn(query, train, min(width, len(train)), metric=faiss.METRIC_INNER_PRODUCT)
    return _joined(best, more, start, width)


def _faiss_gpu(device: str, memory: int) -> Search:
    import faiss
    import torch

    resources, number = faiss.StandardGpuResources(), int(device.partition(":")[2] or torch.cuda.current_device())
    resources.setTempMemory(memory)  # its own choice is 1.5 GB
    inner, wide = faiss.METRIC_INNER_PRODUCT, _torch(device, memory)

    def search(train: np.ndarray, query: np.ndarray, width: int, start: int, best: Found | None) -> Found:
        if width > GPU_WIDTH:
            return wide(train, query, width, start, best)
        k = min(width, len(train))
        more = faiss.knn_gpu(resources, query, train, k, metric=inner, device=number, vectorsMemoryLimit=memory)
        return _joined(best, more, start, width)

    return search


def _joined(best: Found | None, more: tuple[np.ndarray, np.ndarray], start: int, width: int) -> Found:
    import torch

    if (more[1] < 0).any():  # FAISS answers -1 where it found nothing; labels[-1] would be a wrong vote
        raise ArgumentError("train_ND", "a neighbour for every query", "none for some", "Look for extreme values.")
    return _merged(best, (torch.from_numpy(more[0]), torch.from_numpy(more[1]) + start), width)


def _torch(device: str, memory: int) -> Search:
    import torch

    def search(train: np.ndarray, query: np.ndarray, width: int, start: int, best: Found | None) -> Found:
        found = []
        with _full_precision():
            tile = memory // 8 if device != "cpu" else min(memory // 8, TILE_BYTES)  # what is picked out takes more
            x, columns = torch.from_numpy(train).to(device), min(len(train), COLUMNS, max(1, tile // 4))
            rows = min(len(query), max(1, min(tile // (4 * columns), memory // (64 * width))))
            buffer = torch.empty(rows * (columns + GROUP), dtype=torch.float32, device=device)
            for top in range(0, len(query), rows):
                q = torch.from_numpy(query[top : top + rows]).to(device)
                so_far = best and (best[0][top : top + rows].to(device), best[1][top : top + rows].to(device))
                found.append(_largest(x, q, width, start, so_far, buffer, columns))
        return torch.cat([f[0] for f in found]).cpu(), torch.cat([f[1] for f in found]).cpu()

    return search


def _largest(x: Tensor, q: Tensor, width: int, start: int, best: Found | None, buffer: Tensor, columns: int) -> Found:
    """The largest products of q and x, and of those found before: one pass over tiles, each against the lowest kept."""
    import torch

    for first in range(0, len(x), columns):
        rows = x[first : first + columns]
        groups = -(-len(rows) // GROUP)
        tile = buffer[: len(q) * groups * GROUP].view(len(q), groups * GROUP)
        tile[:, len(rows) :] = -torch.inf
        for left in range(0, len(rows), PIECE):
            right = min(left + PIECE, len(rows))
            torch.mm(q, rows[left:right].T, out=tile[:, left:right])
        top = tile.view(len(q), GROUP, groups).amax(1)
        if best is not None and best[0].shape[1] == width:
            score, index = _above(tile, top, best[0].amin(1, keepdim=True), torch.gt, width)
        elif 2 * width < groups:  # at least `width` products reach the highest of `width` groups
            floor = top.topk(width, sorted=False).values.amin(1, keepdim=True)
            score, index = _above(tile, top, floor, torch.ge, width)
        else:
            score, index = tile[:, : len(rows)].topk(min(width, len(rows)), sorted=False)
        best = _merged(best, (score, index + first + start), width)
    assert best is not None
    return best


def _above(tile: Tensor, top: Tensor, floor: Tensor, passes: Callable[[Tensor, Tensor], Tensor], width: int) -> Found:
    """The products that pass each row's floor, found by the highest of each group, as a table filled up with -inf.

    Where most groups pass (rows that get better and better, or all alike) the `width` largest, which take less memory.
    """
    import torch

    passing = passes(top, floor)
    if 2 * int(passing.sum()) > passing.numel():
        score, index = tile.topk(min(width, tile.shape[1]), sorted=False)
        return score, index
    row, group = passing.nonzero(as_tuple=True)
    column = group[:, None] + torch.arange(GROUP, device=tile.device) * top.shape[1]
    value = tile[row[:, None], column]
    keep = passes(value, floor[row])
    row, column, value = row[:, None].expand_as(keep)[keep], column[keep], value[keep]
    count = torch.bincount(row, minlength=len(tile))
    place = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    score = tile.new_full((len(tile), int(count.max())), -torch.inf)
    index = row.new_zeros(score.shape)
    score[row, place], index[row, place] = value, column
    return score, index


def _merged(best: Found | None, more: Found, width: int) -> Found:
    """The `width` largest of both, or all where they are fewer."""
    import torch

    score, index = more if best is None else (torch.cat([a, b], 1) for a, b in zip(best, more, strict=True))
    if score.shape[1] > width:
        score, keep = score.topk(width, sorted=False)
        index = index.gather(1, keep)
    return score, index


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in float32, also where the caller lets torch round them to bfloat16 or TF32: the margin counts on it."""
    import torch

    before = torch.get_float32_matmul_precision()
    if before == "highest":
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
