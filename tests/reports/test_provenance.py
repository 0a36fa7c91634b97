"""What is said to make the page again makes it again."""

from __future__ import annotations

import html
import shlex

import pytest

from relic_eval.commands import Grid
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.grid import transfer
from relic_eval.results import read_results
from relic_eval.run import evaluate
from reports.sections.origin.data import tasks
from reports.write import write_report

GRID = ["pixels", "--data", "digits", "--protocol", "linear-byol", "--protocol", "knn", "--protocol", "robust"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of one grid, with corrupted pictures of a part of the test rows."""
    pytest.importorskip("imagecorruptions", reason="the extra [robust] is not installed")
    out = tmp_path_factory.mktemp("grid")
    protocols = ("linear-byol", "knn", "robust")
    transfer(Grid(("pixels",), ("digits",), protocols, kinds=("contrast",), corruptions=20), out)
    return out


def test_what_a_grid_made_is_made_again_by_its_own_words(made):
    said = html.unescape(write_report(made).read_text())
    assert f"relic-eval transfer {shlex.join(GRID)} --kind contrast --corruptions 20 --out OUT" in said
    assert "relic-eval embed pixels" not in said.split("To make this page again")[1].split("</pre>")[0]
    assert str(made) not in said
    # what was embedded beside it stands beside it
    embed(find_encoder("random:thin-resnet,side=16"), "digits", made)
    evaluate(made, ["random,side=16"], protocols=["knn"])
    again = html.unescape(write_report(made).read_text())
    assert "relic-eval embed random:thin-resnet,side=16 --data digits --out OUT\nrelic-eval evaluate --out OUT" in again


def test_a_task_is_counted_where_all_its_pictures_test(made):
    counts = {r.protocol: r.about["counts"]["test"] for r in read_results(made)}
    (task,) = tasks(read_results(made)).values()
    assert counts["robust"] < counts["knn"] == task["counts"]["test"]
