"""The table of protocols is whole, light to import, and says every setting."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from relic_eval.errors import UnknownNameError
from relic_eval.evaluators.table import PROTOCOLS as OTHERS
from relic_eval.records import Transform
from relic_eval.tuning.cells import cell_key, tune
from relic_eval.tuning.finetune import FineTune
from relic_eval.tuning.table import EVALUATORS, PROTOCOLS, SOURCES, TITLES, describe


def test_every_protocol_has_a_source_a_title_and_a_name_of_its_own():
    assert set(PROTOCOLS) == set(SOURCES) == set(TITLES)
    assert not set(PROTOCOLS) & set(OTHERS)
    assert {type(p) for p in PROTOCOLS.values()} == set(EVALUATORS.values())
    assert all(SOURCES[name].startswith("chosen here") for name in PROTOCOLS if name.endswith("small"))


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_all_settings_are_shown(name):
    its, said = PROTOCOLS[name], describe(name)
    assert set(said) == {f.name for f in dataclasses.fields(its)} | {"version", "source"}
    assert (its.kind, its.data) == ("tune", "scenes" if name.startswith("segment") else "pictures")


def test_naming_them_loads_no_torch():
    code = "import sys, relic_eval.tuning.table; print([m for m in ('torch', 'pandas', 'sklearn', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_key_follows_everything_that_decides_a_cell(encoder):
    base = {"protocol": "semi-1pct", "encoder": encoder, "digests": ("a", "b"), "division": {"seed": 0}, "listed": ()}
    other = {
        "protocol": "semi-10pct",
        "encoder": dataclasses.replace(encoder, digest="other"),
        "digests": ("a", "c"),
        "division": {"seed": 1},
        "listed": ("x.JPEG",),
    }
    keys = [cell_key(**base), *(cell_key(**{**base, name: value}) for name, value in other.items())]
    keys.append(cell_key(**{**base, "encoder": dataclasses.replace(encoder, transform=Transform(32))}))
    assert len(set(keys)) == len(keys)
    assert cell_key(**base) == keys[0]
    renamed = dataclasses.replace(encoder, name="another name")
    assert cell_key(**{**base, "encoder": renamed}) == keys[0]


def test_a_protocol_is_run_by_its_name(encoder, shots, monkeypatch, tmp_path):
    short = FineTune(learning_rates=(0.01,), decays=(0.0,), steps=1, batch=8)
    monkeypatch.setitem(PROTOCOLS, "finetune-small", short)
    cell = tune("finetune-small", encoder, shots, keep=tmp_path)
    assert cell.rows == short(encoder, *shots).rows
    assert len(list(tmp_path.glob("*.json"))) == 1
    with pytest.raises(UnknownNameError, match="Did you mean 'finetune-small'"):
        tune("finetune-smal", encoder, shots)
