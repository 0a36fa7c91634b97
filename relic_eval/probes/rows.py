"""Training rows made ready for a path of penalties: centred, at unit mean square, and rotated into an eigenbasis.

The rotation is that of the smaller of the two Gram matrices, so that n < d is solved in n dimensions. In its basis the
curvature of every penalty is close to a diagonal. Rows that would not fit are never copied: they are read in blocks in each
pass, and the weights are rotated instead of the rows. A column of ones carries the intercept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from relic_eval.devices import tensor

BLOCK_BYTES = 1 << 20  # of the logits of one block: what a core's cache holds
READ_BYTES = 64 << 20  # of the rows that are read together where they do not fit


def kind_of(dtype: np.dtype) -> torch.dtype:
    """float32 for rows that it holds without loss, else float64.

    >>> kind_of(np.dtype("float16")), kind_of(np.dtype("int32"))
    (torch.float32, torch.float64)
    """
    wide = dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize == 4)
    return torch.float64 if wide else torch.float32


class Rows:
    """Rows of S training subsets; a point is (..., C, R + 1), the last column being the intercept."""

    def __init__(self, x_SND: np.ndarray, weight_SN: np.ndarray | None, device: str, max_memory: int):
        self.subsets, self.rows, dims = x_SND.shape
        self.kind = kind_of(x_SND.dtype)
        self.device = torch.device(device)
        self.source = x_SND
        itemsize = torch.empty((), dtype=self.kind).element_size()
        # the dual form needs its rows at hand; n < d is small
        self.streamed = self.rows >= dims and x_SND.size * itemsize * 2 > max_memory
        self.weight = None if weight_SN is None else tensor(weight_SN).to(self.device, self.kind)
        self.total = (
            torch.full((self.subsets,), float(self.rows), dtype=torch.float64, device=self.device)
            if self.weight is None
            else self.weight.double().sum(1)
        )
        self._centre(dims)
        if self.streamed:
            self.spectrum, self.basis = self._eigen(self._gram(self._scaled()))
            return
        x = next(part for _, part in self._scaled(everything=True))
        if self.rows >= dims:
            parts = ((rows, x[:, rows]) for rows in self._slices())
            self.spectrum, self.basis = self._eigen(self._gram(parts))
        else:
            x = x.double()  # small singular values drown in float32 products
            self.spectrum, self.basis = self._dual(x)
        self.z = torch.ones(self.subsets, self.rows, self.basis.shape[2] + 1, dtype=self.kind, device=self.device)
        for rows in self._slices():
            self.z[:, rows, :-1] = x[:, rows] @ self.basis
        self.basis = self.basis.to(self.kind)

    def _centre(self, dims: int) -> None:
        """Mean and root mean square of the rows (weighted), summed in float64."""
        total = self.total[:, None]
        mean = torch.zeros(self.subsets, dims, dtype=torch.float64, device=self.device)
        for rows, x in self._read():
            mean += self._weighted(x.double(), rows).sum(1) / total
        # what float32 rows are centred by is what the intercept is corrected by
        self.mean = mean.to(self.kind)[:, None]
        square = torch.zeros(self.subsets, dtype=torch.float64, device=self.device)
        for rows, x in self._read():
            length = (x.double() - self.mean.double()).square_().sum(2, keepdim=True)  # 1e20 squared is beyond float32
            square += self._weighted(length, rows).sum((1, 2))
        size = (square / self.total / dims).sqrt()
        self.size = torch.where(size > 0, size, 1.0)

    def _slices(self) -> Iterator[slice]:
        step = max(1, READ_BYTES // (4 * self.subsets * self.source.shape[2]))
        yield from (slice(start, start + step) for start in range(0, self.rows, step))

    def _read(self, everything: bool = False) -> Iterator[tuple[slice, Tensor]]:
        native = np.float64 if self.kind == torch.float64 else np.float32
        for rows in [slice(0, self.rows)] if everything else self._slices():
            block = np.ascontiguousarray(self.source[:, rows], dtype=native)
            yield rows, tensor(block).to(self.device)

    def _scaled(self, everything: bool = False) -> Iterator[tuple[slice, Tensor]]:
        for rows, x in self._read(everything):
            x = x - self.mean
            x /= self.size[:, None, None].to(self.kind)
            yield rows, x

    def _weighted(self, x: Tensor, rows: slice) -> Tensor:
        return x if self.weight is None else x * self.weight[:, rows, None]

    def _gram(self, parts: Iterable[tuple[slice, Tensor]]) -> Tensor:
        dims = self.source.shape[2]
        gram = torch.zeros(self.subsets, dims, dims, dtype=self.kind, device=self.device)
        for rows, x in parts:
            gram += self._weighted(x, rows).mT @ x
        return gram

    def _eigen(self, gram: Tensor) -> tuple[Tensor, Tensor]:
        spectrum, basis = torch.linalg.eigh(gram)
        # orthonormal to 1e-6 only in float32: a step of Newton and Schulz, or a large penalty is not of the same length outside
        basis = 1.5 * basis - 0.5 * basis @ (basis.mT @ basis)
        return spectrum.clamp_min(0), basis

    def _dual(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Right singular vectors, from an orthonormal basis of the rows: none is divided by a singular value that is noise."""
        x = x if self.weight is None else x * self.weight.double().sqrt()[..., None]
        rows, inside = torch.linalg.qr(x.mT)
        spectrum, turn = self._eigen(inside @ inside.mT)
        return spectrum.to(self.kind), rows @ turn

    def blocks(self, columns: int) -> Iterator[tuple[slice, Tensor]]:
        """Rows (S, n, R + 1) with their ones, few enough that `columns` logits of each stay in the cache."""
        step = max(64, BLOCK_BYTES // (4 * self.subsets * columns))
        if not self.streamed:
            for start in range(0, self.rows, step):
                rows = slice(start, start + step)
                yield rows, self.z[:, rows]
            return
        for rows, x in self._scaled():
            x = functional.pad(x, (0, 1), value=1.0)
            for start in range(0, x.shape[1], step):
                part = x[:, start : start + step]
                yield slice(rows.start + start, rows.start + start + part.shape[1]), part

    def exact(self, columns: int) -> Iterator[tuple[slice, Tensor]]:
        """Rows (S, n, D) as they were centred and scaled, not rotated, in float64, a few at a time."""
        for rows, x in self._read():
            step = max(64, BLOCK_BYTES // (8 * self.subsets * columns))
            for start in range(0, x.shape[1], step):
                part = (x[:, start : start + step].double() - self.mean.double()) / self.size[:, None, None]
                yield slice(rows.start + start, rows.start + start + part.shape[1]), part

    def outwards(self, point: Tensor) -> Tensor:
        """Weights or gradients (S, ..., C, R + 1) along the features as they were centred and scaled, (S, ..., C, D + 1)."""
        shape = point.shape
        flat = point.reshape(self.subsets, -1, shape[-1])
        return torch.cat([flat[..., :-1] @ self.basis.mT, flat[..., -1:]], 2).view(*shape[:-1], -1)

    def inwards(self, point: Tensor) -> Tensor:
        """The way back: (S, ..., C, D + 1) to (S, ..., C, R + 1)."""
        shape = point.shape
        flat = point.reshape(self.subsets, -1, shape[-1])
        return torch.cat([flat[..., :-1] @ self.basis, flat[..., -1:]], 2).view(*shape[:-1], -1)

    def original(self, point_SLCR: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Weights (S, L, D, C) and intercepts (S, L, C) for rows as they were given.

        Intercepts are float64: they undo the mean, which far from the origin is larger than all that tells classes apart.
        """
        out = self.outwards(point_SLCR)
        weights = out[..., :-1].mT / self.size[:, None, None, None].to(self.kind)
        bias = out[..., -1].double() - torch.einsum("sd,sldc->slc", self.mean[:, 0].double(), weights.double())
        return weights.contiguous().cpu().numpy(), bias.cpu().numpy()

    def inside(self, weights_DC: np.ndarray, bias_C: np.ndarray) -> Tensor:
        """The point (S, 1, C, R + 1) of weights and intercepts for rows as they were given."""
        weights, bias = (torch.from_numpy(np.array(a, np.float64)).to(self.device) for a in (weights_DC, bias_C))
        outside = weights.T * self.size[:, None, None]
        free = bias + (self.mean.double() @ weights)[:, 0]
        return self.inwards(torch.cat([outside, free[..., None]], 2).to(self.kind))[:, None]
