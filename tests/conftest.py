"""Shapes in signatures are checked while tests run; shared fixtures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores: threads of several would starve one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from jaxtyping import install_import_hook

import relic_eval  # noqa: F401  before torch: it says how threads wait

install_import_hook(["relic_eval.metrics", "relic_eval.probes"], "beartype.beartype")


@pytest.fixture(scope="session")
def board_folder(tmp_path_factory):
    """Two made-up encoders of the same 300 images, three classes, evaluated under every protocol."""
    from relic_eval.intake import import_arrays
    from relic_eval.run import evaluate

    out, rng = tmp_path_factory.mktemp("board"), np.random.default_rng(0)
    y = np.repeat(np.arange(3), 100)
    names = np.array(["ant", "bee", "cat"])[y]
    above = {"ant": "insect", "bee": "insect", "cat": "mammal"}
    for name, spread in (("near", 0.5), ("far", 3.0)):
        import_arrays(
            out, name, "animals", np.eye(3)[y] * 4 + rng.normal(0, spread, (300, 3)), names, superclasses=above
        )
    done = evaluate(out)
    assert done.failed == 0
    assert done.made == 18
    return out


@pytest.fixture(scope="session")
def fashion():
    """400 of the bundled test pictures, uint8 (400, 28, 28, 1), and their class numbers."""
    from relic_eval.data.bundled import bundled

    source = bundled("fashion", "test")
    return source.read(np.arange(0, 2000, 5), 28)[0], source.y_N[::5]


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real image sets that RELIC_EVAL_DATA names; skips where there is none, except in CI."""
    place = os.environ.get("RELIC_EVAL_DATA")
    if place is None or not Path(place).is_dir():
        if os.environ.get("CI"):
            pytest.fail("RELIC_EVAL_DATA must name the folder of image sets in CI")
        pytest.skip("RELIC_EVAL_DATA names no folder of image sets")
    return Path(place)


@pytest.fixture(scope="session")
def cli():
    """A command that must end with this code and no traceback: `cli("list", "tasks", code=0)`."""

    def run(*words, code=0):
        done = subprocess.run([sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run
