"""The table of protocols is whole, light to import, and says every setting."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from relic_eval.evaluators.table import PROTOCOLS as OTHERS
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
