"""The published linear protocol: softmax regression by stochastic gradient descent, all learning rates in one pass.

Nesterov momentum as torch.optim.SGD and optax.sgd define it, no decay, no warm-up, and a learning rate that falls from
lr to 0 as lr / 2 * (1 + cos(pi t / T)) at step t of T: `utils/schedules.py` and `configs/eval.py` of google-deepmind/relicv2,
and appendix C.1 of BYOL (arXiv 2006.07733). The protocol is a budget of steps: where classes can be separated the loss has
no minimum, so there is nothing to converge to, and no certificate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Num
from torch import Tensor

from relic_eval.arrays import asarray, labels, matrix, paired, whole
from relic_eval.devices import device as where
from relic_eval.devices import tensor
from relic_eval.errors import ArgumentError
from relic_eval.probes.linear import positive, rows_of
from relic_eval.probes.links import softmax
from relic_eval.progress import heartbeat


@dataclass(frozen=True)
class SgdFit:
    """One classifier a learning rate (L) after T steps. One that left the finite numbers costs only itself."""

    learning_rates_L: np.ndarray  # at step 0
    weights_LDC: np.ndarray
    bias_LC: np.ndarray
    loss_LT: np.ndarray  # mean cross-entropy of each batch before its step, float64
    diverged_L: np.ndarray  # NaN or infinity among loss, weights or intercepts


def fit_sgd(
    batches: Iterable[tuple[Any, Any]],
    classes: int,
    dims: int,
    learning_rates: Sequence[float] | np.ndarray,
    steps: int,
    *,
    momentum: float = 0.9,
    seed: int | None = None,
    device: str = "cpu",
) -> SgdFit:
    """Train one linear classifier a learning rate on the first `steps` of `batches` of (x_BD, y_B).

    Batches are arrays or tensors, of any sizes: frozen features from `batches_of`, or views that a caller encodes as it
    goes. float64 in the first batch makes all arithmetic float64. The learning rates are those of step 0; the published
    ones are times batch / 256. Weights begin at zero, or, with a seed, as the official code begins (see `_start`).
    Raises ArgumentError for batches that end early, do not fit, are not finite, or are all of one class.

    >>> batches = [(np.array([[-1.0], [1.0]]), np.array([0, 1]))] * 2
    >>> fit = fit_sgd(batches, classes=2, dims=1, learning_rates=[1.0], steps=2, momentum=0.0)
    >>> fit.loss_LT[0].round(3).tolist()  # ln 2, then ln(1 + exp(-1)): the first step adds 1/2 to each right answer
    [0.693, 0.313]
    """
    classes, dims, steps = whole("classes", classes, 2), whole("dims", dims, 1), whole("steps", steps, 1)
    rate_L, device = positive("learning_rates", learning_rates), where(device)
    if not 0 <= momentum < 1:
        raise ArgumentError("momentum", "a number from 0 to below 1", repr(momentum))
    count, rates = len(rate_L), torch.from_numpy(rate_L).to(device)
    loss_TL = torch.zeros(steps, count, dtype=torch.float64, device=device)
    seen_C, state, step, beat = np.zeros(classes, bool), None, 0, heartbeat()
    for x_BD, y_B in islice(batches, steps):
        x = _features(x_BD, dims, None if state is None else state[0].dtype, device)
        y = labels("y_B", y_B, len(x))
        if y.max() >= classes:
            raise ArgumentError("y_B", f"class numbers below {classes}", f"{y.max()} in batch {step}")
        seen_C[y] = True
        state = _start(classes, dims, count, seed, x) if state is None else state
        now = rates * (0.5 * (1 + math.cos(math.pi * step / steps)))
        loss_TL[step] = _step(x, tensor(y).to(device), now, momentum, *state)
        step += 1
        beat(f"sgd: {step} of {steps} steps")
    if state is None or step < steps:
        raise ArgumentError("batches", f"{steps} of them", f"{step}", "Give more of them, or ask for fewer steps.")
    if seen_C.sum() < 2:
        raise ArgumentError(
            "y_B", "at least two classes among the batches", "one", "A probe must tell something apart."
        )
    weights_KD, bias_K = state[:2]
    weights_LDC = weights_KD.view(count, classes, dims).transpose(1, 2).contiguous().cpu().numpy()
    bias_LC, loss_LT = bias_K.view(count, classes).cpu().numpy(), loss_TL.T.contiguous().cpu().numpy()
    sound_L = np.isfinite(weights_LDC).all((1, 2)) & np.isfinite(bias_LC).all(1) & np.isfinite(loss_LT).all(1)
    return SgdFit(rate_L, weights_LDC, bias_LC, loss_LT, ~sound_L)


def step_count(rows: int, batch: int, epochs: int) -> int:
    """Whole batches in `epochs` passes over the rows, as the official code counts them: passes follow without a gap.

    >>> step_count(10, 4, 3)
    7
    """
    return epochs * rows // batch


def batches_of(
    x_ND: Num[np.ndarray, "N D"], y_N: Int[np.ndarray, " N"], batch: int, epochs: int, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Shuffled batches of frozen features, `step_count` of them: the same for the same seed, in the type of `x_ND`.

    Every pass is a new order of all rows; a batch may hold the last rows of one pass and the first of the next, and only
    the rows after the last whole batch are left out. A memory map is read a batch at a time, forwards.

    >>> [y.tolist() for _, y in batches_of(np.zeros((3, 1)), np.array([0, 1, 2]), batch=3, epochs=2)]
    [[0, 1, 2], [0, 1, 2]]
    """
    x_ND = rows_of("x_ND", x_ND)
    x_ND, y_N = paired(x_ND, labels("y_N", y_N))
    if len(np.unique(y_N)) < 2:
        raise ArgumentError("y_N", "at least two classes among the rows", "one", "A probe must tell something apart.")
    if whole("batch", batch, 1) > len(x_ND):
        raise ArgumentError("batch", f"at most {len(x_ND)}, the number of rows", f"{batch}")
    return _shuffled(x_ND, y_N, batch, step_count(len(x_ND), batch, whole("epochs", epochs, 1)), seed)


def _shuffled(x_ND, y_N, batch, steps, seed):
    rng, order = np.random.default_rng(seed), np.empty(0, np.int64)
    for _ in range(steps):
        if len(order) < batch:
            order = np.concatenate([order, rng.permutation(len(x_ND))])
        rows = np.sort(order[:batch])  # the sum over a batch has no order, and a disk has one
        order = order[batch:]
        yield x_ND.take(rows, axis=0), y_N[rows]


def _features(x_BD: Any, dims: int, dtype: torch.dtype | None, device: str) -> Tensor:
    """A batch on the device. Whether it is finite is seen from its sum: one pass, and the long check only where that fails."""
    if isinstance(x_BD, Tensor):
        x = x_BD.detach()
        if not x.is_floating_point() or x.itemsize < 4:
            x = x.float()
    else:
        x_BD = asarray(x_BD)
        if x_BD.dtype not in (np.float32, np.float64):
            x_BD = matrix("x_BD", x_BD)
        x = tensor(np.ascontiguousarray(x_BD))
    if x.ndim != 2 or x.shape[1] != dims or not len(x):
        raise ArgumentError("x_BD", f"rows of {dims} columns", f"shape {tuple(x.shape)}")
    x = x.to(device, dtype)
    if not torch.isfinite(x.sum()):
        matrix("x_BD", x)
    return x


def _start(
    classes: int, dims: int, count: int, seed: int | None, like: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights (K, D) and intercepts (K,) of all learning rates, K = L C, and their momenta.

    Zero by default: the loss is convex, so a random start can add nothing but noise; what it puts into directions that the
    training rows do not have stays there for ever and blurs the test scores; and every seed, machine and learning rate
    begins at the same loss, ln C. The official code begins with hk.Linear's default, a normal of deviation 1 / sqrt(D)
    cut at two deviations, intercepts zero: `seed` gives that, the same for all learning rates.
    """
    weights = like.new_zeros(count * classes, dims)
    if seed is not None:
        first, deviation = torch.empty(classes, dims, dtype=like.dtype), dims**-0.5
        dice = torch.Generator().manual_seed(seed)
        torch.nn.init.trunc_normal_(first, 0.0, deviation, -2 * deviation, 2 * deviation, generator=dice)
        weights.copy_(first.repeat(count, 1))
    bias = like.new_zeros(count * classes)
    return weights, bias, torch.zeros_like(weights), torch.zeros_like(bias)


def _step(x, y, rate_L, momentum, weights_KD, bias_K, speed_KD, speed_K) -> Tensor:
    """One step of every learning rate, in place; the losses (L,) before it.

    With v' = m v + g Nesterov's step is w' = w - r (g + m v') = w + r m v - r (1 + m) v': so g is never stored apart.
    """
    rows, count = len(x), len(rate_L)
    logits = torch.addmm(bias_K[:, None], weights_KD, x.T).view(1, count, -1, rows)
    classes = logits.shape[2]
    loss_1L, _, residual = softmax(logits, y[None], None)
    residual = residual.view(-1, rows) / rows
    rate_K = rate_L.repeat_interleave(classes).to(x.dtype)
    for point, speed, rate in ((weights_KD, speed_KD, rate_K[:, None]), (bias_K, speed_K, rate_K)):
        point.addcmul_(speed, rate, value=momentum)
        if point is weights_KD:
            speed.addmm_(residual, x, beta=momentum)
        else:
            speed.mul_(momentum).add_(residual.sum(1))
        point.addcmul_(speed, rate, value=-(1 + momentum))
    return loss_1L[0] / rows
