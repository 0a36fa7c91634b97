"""The documentation names what there is, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.claims import CLAIMS
from pretrain.config import PRESETS
from relic_eval.evaluators.table import PROTOCOLS

ROOT = Path(__file__).parents[1]


def test_every_protocol_has_its_heading():
    text = (ROOT / "docs" / "evaluators.md").read_text()
    assert set(re.findall(r"^## ([\w-]+)$", text, re.M)) == set(PROTOCOLS)


def test_every_method_is_documented():
    text = (ROOT / "docs" / "pretraining.md").read_text().lower()
    assert all(name in text for name in PRESETS)


def test_the_readme_names_every_command_and_its_links_exist():
    text = (ROOT / "README.md").read_text()
    for command in ("quickstart", "embed", "evaluate", "report", "list", "doctor"):
        assert f"relic-eval {command}" in text or f"`{command}" in text
    for place in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / place).exists(), place


def test_every_claim_stands_in_the_benchmarks_readme():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"| {name} |" in text for name in CLAIMS)


def test_the_steps_in_the_manual_are_those_of_the_presets():
    text = (ROOT / "docs" / "pretraining.md").read_text()
    for config in PRESETS.values():
        assert f"| `steps` | {config.steps} |" in text
