"""Several processes that train one network: which rows are whose, and what they tell each other.

With one process everything here is the identity. The loss is the mean of the ranks' losses: gradients are averaged, so what
one rank's loss owes to another's rows must come back to it, which the two exchanges below see to.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.autograd.function import once_differentiable

from relic_eval.errors import ArgumentError


def start(device: str) -> str:
    """Join the other processes that torchrun started, if any; returns this one's device.

    >>> start("cpu")
    'cpu'
    """
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        return device
    if device.startswith("cuda"):
        count, there = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
        if count > there:
            raise ArgumentError("--nproc", f"at most {there}, the GPUs there are", f"{count}", "Or give --device cpu.")
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    if dist.get_backend() == "gloo":  # its threads that are still there when a process ends may end it with an abort
        atexit.register(stop)
    return device


def stop() -> None:
    """Leave the other processes.

    >>> stop()
    """
    if dist.is_initialized():
        dist.destroy_process_group()


def world() -> int:
    """How many processes train together.

    >>> world()
    1
    """
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this one; 0 writes.

    >>> rank()
    0
    """
    return dist.get_rank() if dist.is_initialized() else 0


def share(batch: int) -> slice:
    """The rows of a batch that are this rank's.

    >>> share(6)
    slice(0, 6, None)
    """
    if batch % world() or batch // world() < 2:
        raise ArgumentError("--set batch", f"a multiple of the {world()} ranks, two pictures each or more", f"{batch}")
    each = batch // world()
    return slice(rank() * each, (rank() + 1) * each)


def parts(own: slice, count: int) -> list[slice]:
    """The rows of a rank in so many parts.

    >>> parts(slice(4, 8), 2)
    [slice(4, 6, None), slice(6, 8, None)]
    """
    if (own.stop - own.start) % count:
        raise ArgumentError("--set accumulate", f"a divisor of {own.stop - own.start}, a rank's pictures", f"{count}")
    each = (own.stop - own.start) // count
    return [slice(start, start + each) for start in range(own.start, own.stop, each)]


def average_gradients(module: nn.Module) -> None:
    """Every rank has the mean of all ranks' gradients afterwards.

    One exchange in the order of the parameters, whatever was done before: torch's DistributedDataParallel orders its own
    after its first step, so that sums over three ranks or more would depend on where a run was taken up.

    >>> average_gradients(nn.Linear(1, 1))
    """
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if world() > 1 and gradients:
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for gradient, mean in zip(gradients, (flat / world()).split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view(gradient.shape))


def joined(x: Tensor) -> Tensor:
    """The rows of all ranks, in order; each rank's gradient comes back to it from all.

    >>> joined(torch.ones(2, 1)).shape
    torch.Size([2, 1])
    """
    return x if world() == 1 else _Joined.apply(x)


def total(x: Tensor) -> Tensor:
    """The sum over all ranks of a tensor that no gradient flows through.

    >>> total(torch.ones(1)).item()
    1.0
    """
    if world() > 1:
        x = x.detach().clone()
        dist.all_reduce(x)
    return x


def apart(x: Tensor) -> Tensor:
    """The tensors of all ranks one after another, (R, ...), of which no gradient flows through.

    >>> apart(torch.ones(2)).shape
    torch.Size([1, 2])
    """
    if world() == 1:
        return x[None]
    parts = [torch.empty_like(x) for _ in range(world())]
    dist.all_gather(parts, x.contiguous())
    return torch.stack(parts)


def wait() -> None:
    """Go on only when all ranks are here.

    >>> wait()
    """
    if world() > 1:
        dist.barrier()


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(parts, x.contiguous())
        context.rows = slice(rank() * len(x), (rank() + 1) * len(x))
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return total(gradient.contiguous())[context.rows]
