"""What a resumed run needs: weights, target, optimiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pretrain import checkpoint


def state(online: nn.ModuleDict, target: nn.ModuleDict, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor that a resumed run needs; the encoder's under `encoder.`."""
    tensors: dict[str, Tensor] = dict(online.state_dict())
    tensors.update({f"target.{name}": t for name, t in target.state_dict().items()})
    for number, entries in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{number}.{name}": t for name, t in entries.items()})
    return tensors


def resume(
    out: Path, online: nn.ModuleDict, target: nn.ModuleDict, optimizer: torch.optim.Optimizer, record: dict[str, Any]
) -> int:
    """Load the last checkpoint of the run, if there is one, and return the step to go on with; `record` gets what it holds."""
    last = checkpoint.latest(out)
    if last is None:
        return 0
    tensors, about = checkpoint.load(last), checkpoint.read_about(last)
    online.load_state_dict({n: t for n, t in tensors.items() if not n.startswith(("target.", "optimizer."))})
    target.load_state_dict({n.removeprefix("target."): t for n, t in tensors.items() if n.startswith("target.")})
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            entries.setdefault(int(number), {})[key] = tensor
    # the fused step walks memory, so moments must lie in memory as their weights do (channels last)
    weights: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
    for place, moments in entries.items():
        for key, tensor in list(moments.items()):
            if tensor.shape == weights[place].shape:
                moments[key] = torch.empty_like(weights[place]).copy_(tensor)
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    record["history"].update(about["history"])
    record["monitor"].extend(about.get("monitor", []))  # checkpoints of before have none
    return int(about["step"])
