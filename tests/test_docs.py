"""The documentation names what there is, no more and no less."""

from __future__ import annotations

import dataclasses
import importlib
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.claims import CLAIMS
from pretrain.config import METHODS
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.metrics.blocks import PRESETS as BLOCKS
from relic_eval.metrics.precision import KINDS
from relic_eval.metrics.readings import METRICS, READINGS
from relic_eval.tuning.table import PROTOCOLS as TUNING

ROOT = Path(__file__).parents[1]


def test_every_protocol_has_its_heading():
    text = (ROOT / "docs" / "protocols.md").read_text()
    assert sorted(", ".join(re.findall(r"^## (.+)$", text, re.M)).split(", ")) == sorted([*PROTOCOLS, *TUNING])


def test_each_measure_has_five_lines_with_its_reading_and_reference():
    text = (ROOT / "docs" / "measures.md").read_text()
    sections = dict(re.findall(r"^## (.+?)$(.*?)(?=^#|\Z)", text, re.M | re.S))
    for name, body in sections.items():
        lines = body.strip().splitlines()
        assert len(lines) == 5, name
        assert lines[-1].startswith("Reference: "), name
        assert any(line.startswith("Reading: ") for line in lines) or name == "Presets", name
    for table in (READINGS, BLOCKS, KINDS, METRICS):
        assert all(f"`{name}`" in text or name in sections for name in table)


def test_what_the_measures_page_calls_is_there():
    text = (ROOT / "docs" / "measures.md").read_text()
    calls = re.findall(r"`(\w+)\.(\w+)[(`=]", text)
    assert len(calls) > 30
    for module, name in calls:
        if module not in ("relic_eval", "scipy", "numpy"):
            assert hasattr(importlib.import_module(f"relic_eval.metrics.{module}"), name), f"{module}.{name}"


def test_every_method_is_documented():
    text = (ROOT / "docs" / "pretraining.md").read_text().lower()
    assert all(name in text for name in METHODS)


def test_the_readme_names_every_command_and_its_links_exist():
    text = (ROOT / "README.md").read_text()
    for command in ("quickstart", "embed", "evaluate", "report", "list", "doctor"):
        assert f"relic-eval {command}" in text or f"`{command}" in text
    for place in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / place).exists(), place


def test_every_claim_stands_in_the_benchmarks_readme():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"| {name} |" in text for name in CLAIMS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_manual_has_every_setting_with_its_value_and_source(method):
    text = (ROOT / "docs" / "pretraining.md").read_text()
    sections = dict(re.findall(r"^## (.+?)$(.*?)(?=^## |\Z)", text, re.M | re.S))
    rows = {}
    for part in ("What all methods share", method):  # what a method says of itself stands above what all share
        rows |= {
            name: (shown, source)
            for name, shown, source in re.findall(r"^\| `(\w+)` \| (.+?) \| (\w+) \|$", sections[part], re.M)
        }
    config = METHODS[method]()
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        shown, source = rows[field.name]
        numbers = [float(Fraction(n)) if re.fullmatch(r"[\d./]+", n) else n for n in shown.split(" (")[0].split(",")]
        expected = list(value) if isinstance(value, tuple) else [value]
        assert numbers == expected, field.name
        assert source == field.metadata["source"], field.name
    assert set(rows) >= {f.name for f in dataclasses.fields(config)}


def test_the_readmes_five_lines_put_a_module_on_a_board(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", text, re.S) if "relic_eval.transfer" in b]
    assert len([line for line in block.splitlines() if line.strip()]) <= 5
    rng = np.random.default_rng(0)
    for number, kind in enumerate("abc"):
        (tmp_path / "path/to/class/folders" / kind).mkdir(parents=True)
        for i in range(15):
            grey = rng.integers(0, 60, (16, 16))
            grey[5 * number : 5 * number + 5] += 150
            Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "path/to/class/folders" / kind / f"{i}.png")
    source = "from torch import nn\nnetwork = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Dropout(0.5))\n"
    (tmp_path / "my_networks.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict = {}
    exec(block, names)
    assert set(names["board"]["encoder"]) == {"mine", "pixels"}
    page = (tmp_path / "runs/mine/report/index.html").read_text()
    assert "mine" in page
