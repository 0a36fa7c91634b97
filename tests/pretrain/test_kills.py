"""A run that is killed with SIGKILL at twenty moments ends with the weights of one that was not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pretrain import checkpoint
from relic_eval.files import digest_file

ROOT = Path(__file__).parents[2]
STEPS = {"steps": 150, "checkpoint_every": 1}
KILLS = """
import os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from pretrain import checkpoint
from pretrain.train import pretrain
from tests.pretrain.test_kills import STEPS
from tests.pretrain.test_ranks import DATA, pictures, settings
out, numbers = Path(sys.argv[1]), random.Random(0)
for life in range(21):
    before, child = checkpoint.latest(out), os.fork()
    if not child:
        try:
            pretrain(settings("relicv2", **STEPS), *pictures(), out, data=DATA)
            os._exit(0)
        finally:
            os._exit(1)
    if life < 20:
        while checkpoint.latest(out) == before:
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "a life ended by itself"
            time.sleep(0.001)
        time.sleep(numbers.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) if life < 20 else status == 0, (life, status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is copied where it stands")
def test_twenty_kills_change_nothing(tmp_path):
    file = tmp_path / "kills.py"
    file.write_text(KILLS)
    about = {"env": {**os.environ, "PYTHONPATH": str(ROOT)}, "timeout": 300, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, str(file), str(tmp_path / "killed")], check=False, **about)
    assert done.returncode == 0, done.stderr[-3000:]
    whole = subprocess.run(
        [sys.executable, "-c", KILLS.replace("range(21)", "range(20, 21)"), str(tmp_path / "whole")],
        check=False,
        **about,
    )
    assert whole.returncode == 0
    found = [digest_file(checkpoint.latest(tmp_path / run) / "checkpoint.safetensors") for run in ("killed", "whole")]
    assert found[0] == found[1]
    steps = [f"step-{STEPS['steps'] - before:08d}" for before in range(checkpoint.KEEP)]
    left = {place.name for place in (tmp_path / "killed").iterdir()}
    assert left == {*steps, "views.png", "losses.csv"}  # nothing of what was cut off
    tables = [(tmp_path / run / "losses.csv").read_bytes() for run in ("killed", "whole")]
    assert tables[0] == tables[1]
