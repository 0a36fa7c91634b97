"""`pretrain --nproc 2`: as torchrun does it, and going on where a rank was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain import checkpoint
from relic_eval.files import digest_file

WORDS = ["pretrain", "relicv2", "--data", "digits", "--steps", "40"]
SETTINGS = {"side": 8, "small_side": 8, "batch": 24, "hidden": 16, "out": 8, "checkpoint_every": 4}
SET = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]


def command(*words, launcher=(sys.executable, "-m", "relic_eval.cli")):
    return subprocess.Popen(
        [*launcher, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    return out, err


def ranks_of(parent):
    """Process numbers of the ranks below a process, by rank."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            above = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            names = (place / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if above == parent:
            found.update({int(n[5:]): int(place.name) for n in names if n.startswith(b"RANK=")})
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    said, _ = finished(command(*WORDS, *SET, "--out", out, "--nproc", 2))
    assert said.splitlines() == [str(out / "pretrain" / "relicv2")]  # one rank speaks
    return out / "pretrain" / "relicv2"


def weights(run):
    return digest_file(checkpoint.latest(run) / "checkpoint.safetensors")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="ranks are found in /proc")
@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_rank_costs_nothing_but_time(which, whole, tmp_path):
    process = command(*WORDS, *SET, "--out", tmp_path, "--nproc", 2)
    while not (run := tmp_path / "pretrain" / "relicv2").is_dir() or checkpoint.latest(run) is None:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    os.kill(ranks_of(process.pid)[which], signal.SIGKILL)
    _, said = finished(process)
    assert "was killed (signal 9); all begin again from the last checkpoint" in said
    assert weights(run) == weights(whole)


def test_torchrun_does_the_same(whole, tmp_path):
    torchrun = (
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "relic_eval.cli",
    )
    finished(command(*WORDS, *SET, "--out", tmp_path, launcher=torchrun))
    assert weights(tmp_path / "pretrain" / "relicv2") == weights(whole)


def test_ranks_that_cannot_share_a_batch_are_refused_before_they_start(tmp_path):
    for ranks in (5, 24):
        process = command(*WORDS, *SET, "--out", tmp_path, "--nproc", ranks)
        _, said = process.communicate()
        assert process.returncode == 2
        assert f"expected ranks that share a batch of 24, two pictures each or more, received {ranks}" in said


def test_what_a_rank_refuses_is_said_once_and_is_the_exit_code(tmp_path):
    process = command(*WORDS, *SET[:4], "--set", "batch=2000", "--out", tmp_path, "--nproc", 2)
    _, said = process.communicate()
    assert process.returncode == 2
    assert said.count("expected at most") == 1
