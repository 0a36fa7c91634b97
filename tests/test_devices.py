"""Which FAISS is in use: none, one, or two that overwrite each other; and devices that are not there."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from relic_eval.devices import device, faiss_flavour, installed_faiss, tensor
from relic_eval.errors import ArgumentError

NO_FAISS = """
import importlib.metadata, importlib.util
find_distribution, find_module = importlib.metadata.distribution, importlib.util.find_spec
def distribution(name):  # as where no wheel was installed: neither distribution nor module is found
    if name.startswith("faiss"):
        raise importlib.metadata.PackageNotFoundError(name)
    return find_distribution(name)
importlib.metadata.distribution = distribution
importlib.util.find_spec = lambda name, *more: None if name == "faiss" else find_module(name, *more)
"""


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def add_wheel(folder, name):
    """What pip leaves beside a package that it installed."""
    place = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def test_two_wheels_are_found_and_explained(tmp_path):
    for name in ("faiss-cpu", "faiss-gpu"):
        add_wheel(tmp_path, name)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from relic_eval.cli import main; main()"
    done = run(code, "doctor")
    assert done.returncode == 1
    said = done.stdout
    assert "expected one FAISS wheel, received faiss-cpu and faiss-gpu" in said
    assert "pip uninstall -y faiss-cpu faiss-gpu && pip install faiss-cpu" in said
    # and the search refuses to guess which of the two is whole
    search = "from relic_eval.metrics.neighbours import nearest; import numpy as np; nearest(np.eye(2), np.eye(2), 1)"
    done = run(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {search}")
    assert "expected one FAISS wheel" in done.stderr


def test_without_faiss_torch_searches_and_the_doctor_says_so():
    done = run(NO_FAISS + "from relic_eval.cli import main; main()", "doctor")
    assert done.returncode == 0, done.stderr
    assert "exact blocked search in torch" in done.stdout
    code = (
        "import numpy as np; from relic_eval.metrics.neighbours import nearest\n"
        "x = np.random.default_rng(0).normal(size=(60, 3)); print(nearest(x, x, 4, similarity='euclid')[0].tolist())"
    )
    without = run(NO_FAISS + code)
    assert without.stdout == run(code).stdout != ""


def test_the_wheel_that_is_here_is_named():
    names = installed_faiss()
    assert faiss_flavour() == (names[0] if names else None)


def test_a_device_that_is_not_there_is_an_error_and_auto_is_not():
    torch = pytest.importorskip("torch")
    with pytest.raises(ArgumentError, match="auto, cpu, cuda or cuda:N"):
        device("gpu")
    if torch.cuda.is_available():
        assert device("auto") == "cuda"
    else:
        assert device("auto") == "cpu"
        with pytest.raises(ArgumentError, match="Use --device cpu"):
            device("cuda:1")


def test_a_tensor_shares_memory_unless_it_must_not_be_written_to():
    x = np.zeros(3)
    shared, x[0] = tensor(x), 1
    assert shared.tolist() == [1, 0, 0]
    x.flags.writeable = False
    copied = tensor(x)
    copied[1] = 5
    assert x.tolist() == [1, 0, 0]
