"""Two ranks with half a batch each do what one process does with the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain import checkpoint
from pretrain.config import METHODS, override
from pretrain.train import pretrain
from relic_eval.errors import ArgumentError

ROOT = Path(__file__).parents[2]
DATA = {"name": "noise", "digest": "d"}
SETTINGS = {"steps": 4, "batch": 16, "side": 12, "checkpoint_every": 4, "hidden": 32, "out": 16, "small_side": 8}
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (64, 12, 12, 3)).astype(np.uint8), np.arange(64) % 4


def settings(method, **more):
    config = METHODS[method]()
    return override(config, {n: v for n, v in {**SETTINGS, **more}.items() if hasattr(config, n)})


def launched(code, tmp_path, *arguments):
    file = tmp_path / "job.py"
    file.write_text(code)
    more = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*LAUNCH, str(file), *map(str, arguments)],
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


TRAIN = """
import sys, torch
from pathlib import Path
torch.set_default_dtype(torch.float64)
from tests.pretrain.test_ranks import CASES, DATA, pictures, settings
from pretrain.train import pretrain
for method, optimizer, lr in CASES:
    out = Path(sys.argv[1]) / f"{method}-{optimizer}"
    pretrain(settings(method, optimizer=optimizer, lr=lr), *pictures(), out, data=DATA)
torch.set_default_dtype(torch.float32)
pretrain(settings("relicv2", precision="bfloat16", lr=1e-4), *pictures(), Path(sys.argv[1]) / "half", data=DATA)
"""
# In float64: Adam divides a gradient by its size, so that in float32 rounding moves weights whose gradient is 0 by as much as
# the learning rate (biases before a batch norm), and both ways of summing are equally right.
CASES = [(method, optimizer, lr) for method in METHODS for optimizer, lr in (("lars", 0.2), ("adamw", 1e-4))]


@pytest.fixture
def in_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    launched(TRAIN, folder, folder)
    return folder


@pytest.mark.parametrize(("method", "optimizer", "lr"), CASES)
def test_two_ranks_are_one_process(method, optimizer, lr, two_ranks, tmp_path, in_float64):
    whole = pretrain(settings(method, optimizer=optimizer, lr=lr), *pictures(), tmp_path / "one", data=DATA)
    parts = checkpoint.latest(two_ranks / f"{method}-{optimizer}")
    losses = [checkpoint.read_about(step)["history"]["loss"] for step in (whole, parts)]
    assert losses[1] == [pytest.approx(one, abs=1e-5) for one in losses[0]]
    one, two = checkpoint.load(whole), checkpoint.load(parts)
    assert set(one) == set(two)
    for name, tensor in one.items():
        torch.testing.assert_close(
            two[name], tensor, atol=1e-5, rtol=1e-5, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_half_precision_on_two_ranks_is_nearly_that_of_one_process(two_ranks, tmp_path):
    whole = pretrain(settings("relicv2", precision="bfloat16", lr=1e-4), *pictures(), tmp_path, data=DATA)
    losses = [checkpoint.read_about(s)["history"]["loss"] for s in (whole, checkpoint.latest(two_ranks / "half"))]
    assert losses[1] == [pytest.approx(one, rel=0.02) for one in losses[0]]


NORMS = """
import torch
from torch import distributed as dist, nn
from pretrain import ranks
from pretrain.norms import join_norms, of_each
ranks.start("cpu")
g = torch.Generator().manual_seed(0)
for layer, shape in ((nn.BatchNorm1d(5), (8, 5)), (nn.BatchNorm2d(5), (8, 5, 3, 2))):
    layer = layer.double()
    nn.init.uniform_(layer.weight, generator=g), nn.init.uniform_(layer.bias, generator=g)
    whole = torch.randn(shape, generator=g, dtype=torch.float64) * 3 + 100
    toward = torch.randn(shape, generator=g, dtype=torch.float64)
    own = slice(4 * ranks.rank(), 4 * ranks.rank() + 4)
    box = nn.Sequential(layer)
    expected = nn.Sequential(type(layer)(5).double())
    expected.load_state_dict(box.state_dict())
    box = join_norms(box, "cpu").double()
    x, y = whole[own].clone().requires_grad_(), whole.clone().requires_grad_()
    (box(x) * toward[own]).sum().backward()
    (expected(y) * toward).sum().backward()
    torch.testing.assert_close(box(x), expected(y)[own], atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(x.grad, y.grad[own], atol=1e-10, rtol=1e-10)
    for mine, theirs in zip(box.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ranks.total(mine.grad), theirs.grad, atol=1e-10, rtol=1e-10)
    for (name, mine), theirs in zip(box.state_dict().items(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-10, msg=name)
    torch.testing.assert_close(box.eval()(x), expected.eval()(y)[own], atol=1e-10, rtol=1e-10)
layer = nn.BatchNorm2d(5).double()
nn.init.uniform_(layer.weight, generator=g), nn.init.uniform_(layer.bias, generator=g)
expected, box = nn.Sequential(nn.BatchNorm2d(5).double()), nn.Sequential(layer)
expected.load_state_dict(box.state_dict())
box = join_norms(box, "cpu").double()
whole_V = [torch.randn(8, 5, s, s, generator=g, dtype=torch.float64) * (v + 1) + 10 * v for v, s in enumerate((3, 3, 3, 2))]
toward_V = [torch.randn(x.shape, generator=g, dtype=torch.float64) for x in whole_V]
mine_V, theirs_V = ([x[rows].clone().requires_grad_() for x in whole_V] for rows in (own, slice(None)))
waits, gather = [], dist.all_gather
dist.all_gather = lambda *a: (waits.append(1), gather(*a))
got_V = of_each(box, mine_V)
dist.all_gather = gather
assert len(waits) == 2, waits  # three views of one size and one of another
want_V = [expected(x) for x in theirs_V]
sum((y * t[own]).sum() for y, t in zip(got_V, toward_V)).backward()
sum((y * t).sum() for y, t in zip(want_V, toward_V)).backward()
for got, want, mine, theirs in zip(got_V, want_V, mine_V, theirs_V, strict=True):
    torch.testing.assert_close(got, want[own], atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(mine.grad, theirs.grad[own], atol=1e-10, rtol=1e-10)
for mine, theirs in zip(box.parameters(), expected.parameters(), strict=True):
    torch.testing.assert_close(ranks.total(mine.grad), theirs.grad, atol=1e-10, rtol=1e-10)
for (name, mine), theirs in zip(box.state_dict().items(), expected.state_dict().values(), strict=True):
    torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-10, msg=name)
z = torch.arange(4.0).view(2, 2).add(10 * ranks.rank()).requires_grad_()
(ranks.joined(z) ** 2 * (1 + ranks.rank())).sum().backward()
torch.testing.assert_close(z.grad, 2 * z.detach() * 3)  # both ranks' losses: once and twice
"""


def test_norms_and_gathered_rows_are_those_of_the_joined_batch(tmp_path):
    assert launched(NORMS, tmp_path).returncode == 0  # the ranks themselves compare


def test_norms_that_do_more_are_not_taken_for_norms():
    """timm's rectify as well: in their place a plain norm would train another network, and nobody would notice."""
    from pretrain.norms import join_norms

    class Rectified(torch.nn.BatchNorm2d):
        pass

    with pytest.raises(
        ArgumentError, match="batch norms are torch's, to train on several processes, received Rectified"
    ):
        join_norms(torch.nn.Sequential(Rectified(3)), "cpu")


def test_a_batch_that_the_ranks_cannot_share_is_refused(monkeypatch):
    from pretrain import ranks

    monkeypatch.setattr(ranks, "world", lambda: 3)
    for batch in (16, 3):
        with pytest.raises(ArgumentError, match="a multiple of the 3 ranks, two pictures each or more"):
            ranks.share(batch)
