"""Training pictures that are tested too are left out of a task: what changes in its cells, and what never stands beside them."""

from __future__ import annotations

import numpy as np

from relic_eval.board import read_board
from relic_eval.data.leaks import Leaks, write_leaks
from relic_eval.intake import import_arrays
from relic_eval.results import cell_path, read_cell, read_failures
from relic_eval.run import evaluate
from relic_eval.store import find_stores, read_manifest

TEXT = ("test", "train", "kind", "test_path", "train_path", "test_class", "train_class")


def note(out, ids):
    """The record of a search that found these training pictures."""
    data = {s.split: read_manifest(s.path)["data"]["digest"] for s in find_stores(out)}
    pairs = {**{name: np.array([], "<U1") for name in TEXT}, "distance": np.zeros(0)}
    leaked = {"id": np.array(ids, "<U20"), "kind": np.array(["exact"] * len(ids), "<U10")}
    write_leaks(out, Leaks("set", "train", "", {"test": 60, "train": 60}, data, {}, pairs, leaked, {}), "key")


def test_leaks_are_dropped_from_training_and_cells_say_so(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 30)
    for name in ("first", "second"):
        for split in ("train", "test"):
            x = np.eye(2)[y] + rng.normal(0, 0.5, (60, 2))
            import_arrays(tmp_path, name, "set", x, np.array(["a", "b"])[y], split=split)
    assert evaluate(tmp_path, protocols=["knn", "blocks"]).made == 4
    assert evaluate(tmp_path, protocols=["knn"], without_leaks=True).failed == 2
    assert "expected a search for leaks" in read_failures(tmp_path)[0]["error"]
    note(tmp_path, [])
    done = evaluate(tmp_path, protocols=["knn"], without_leaks=True)
    assert (done.made, done.skipped) == (0, 2)  # nothing to drop: the cells are what they are
    note(tmp_path, ["set/train/0", "set/train/5", "set/train/40"])
    done = evaluate(tmp_path, ["first"], protocols=["knn", "blocks"], without_leaks=True)
    assert (done.made, done.skipped) == (1, 1)  # measures look at test pictures only
    about = read_cell(cell_path(tmp_path, "first", "set", "knn")).about
    assert about["counts"]["train"] + about["counts"]["valid"] == 57
    assert about["counts"]["test"] == 60
    assert about["task_settings"]["drop"] == about["data"]["dropped"] != ""
    assert [m["encoder"] for m in read_board(tmp_path, protocols=("knn",))[2]] == ["second"]  # never side by side
    evaluate(tmp_path, ["second"], protocols=["knn"], without_leaks=True)
    assert read_board(tmp_path, protocols=("knn",))[2] == []
    assert evaluate(tmp_path, protocols=["knn"]).made == 2  # and back
