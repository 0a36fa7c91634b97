"""Nothing can be forgotten: evaluators in the table, doctests on public functions, settings with a class."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import relic_eval
import relic_eval.evaluators
from relic_eval.evaluators.table import EVALUATORS, PROTOCOLS, SOURCES
from relic_eval.records import EncodeRequest, setting, settings_key

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    f
    for p in (
        "relic_eval/metrics",
        "relic_eval/probes",
        "relic_eval/arrays.py",
        "relic_eval/files.py",
        "relic_eval/library",
        "relic_eval/views.py",
        "relic_eval/devices.py",
        "relic_eval/efficiency.py",
        "relic_eval/board",
        "relic_eval/timings.py",
        "relic_eval/sharding.py",
        "relic_eval/encoders/cost.py",
        "pretrain/config.py",
        "pretrain/batch.py",
        "pretrain/optim.py",
        "pretrain/target.py",
    )
    for f in ([ROOT / p] if p.endswith(".py") else (ROOT / p).glob("*.py"))
)


def test_every_evaluator_is_in_the_table():
    found = set()
    for info in pkgutil.iter_modules(relic_eval.evaluators.__path__):
        module = importlib.import_module(f"relic_eval.evaluators.{info.name}")
        found |= {
            c
            for _, c in inspect.getmembers(module, dataclasses.is_dataclass)
            if c.__module__ == module.__name__ and hasattr(c, "kind")
        }
    assert found == set(EVALUATORS.values())


def test_every_protocol_is_an_evaluator_with_a_source():
    assert {type(p) for p in PROTOCOLS.values()} == set(EVALUATORS.values())
    assert set(SOURCES) == set(PROTOCOLS)
    assert {"linear-byol", "knn", "blocks", "discriminability"} <= set(PROTOCOLS)


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_public_function_has_a_doctest(file):
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            doc = ast.get_docstring(node) or ""
            raises_only = node.name in ("write_part", "finish", "read_store")
            assert ">>>" in doc or raises_only, f"{file.name}: {node.name} has no doctest"


def test_every_public_name_loads():
    for name in relic_eval.__all__:
        assert callable(getattr(relic_eval, name))
        assert importlib.util.find_spec(f"relic_eval.{name}") is None, "a module of that name would hide it"
    with pytest.raises(AttributeError, match="has no attribute"):
        relic_eval.nothing  # noqa: B018


def test_each_field_of_a_request_flips_the_key_or_does_not():
    base = EncodeRequest("e", "w", "d", "s", "data", 28)
    for field in dataclasses.fields(EncodeRequest):
        other = dataclasses.replace(base, **{field.name: 99 if isinstance(getattr(base, field.name), int) else "other"})
        assert (settings_key(other) != settings_key(base)) == field.metadata["changes_numbers"], field.name


def test_a_field_without_a_class_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Request:
        known: int = setting(True, default=1)
        unknown: int = 2

    with pytest.raises(TypeError, match="unknown"):
        settings_key(Request())


@pytest.mark.parametrize(
    "code",
    [
        "import relic_eval",
        "import relic_eval.cli",
        "import relic_eval.run, relic_eval.encode, pretrain.checkpoint, reports.write",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    check = f"{code}; import sys; print([m for m in ('torch', 'pandas', 'sklearn', 'matplotlib', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
