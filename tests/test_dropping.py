"""Training pictures that are tested too are left out of a task: what changes in its cells, and what never stands beside them."""

from __future__ import annotations

import numpy as np

from relic_eval.board import board_table, read_board
from relic_eval.cells import cell_path, read_cell, read_failures
from relic_eval.data.leaks import Leaks, write_leaks
from relic_eval.intake import import_arrays
from relic_eval.run import evaluate
from relic_eval.store import find_stores, read_manifest
from reports.latex import board_latex
from reports.sections.board.board import board_content
from reports.tables import board_text, heads

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
    apart = read_board(tmp_path, protocols=("knn",))[2]
    assert [m["encoder"] for m in apart] == ["second"]  # never side by side
    assert apart[0]["error"].startswith("made with leaks, and first without leaks: evaluate both with --drop-leaks")
    evaluate(tmp_path, ["second"], protocols=["knn"], without_leaks=True)
    assert read_board(tmp_path, protocols=("knn",))[2] == []
    assert evaluate(tmp_path, protocols=["knn"]).made == 2  # and back


def test_what_was_dropped_is_said_marked_and_warned_of(tmp_path, capsys):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 30)
    for split in ("train", "test"):
        x = np.eye(2)[y] + rng.normal(0, 0.5, (60, 2))
        import_arrays(tmp_path, "only", "set", x, np.array(["a", "b"])[y], split=split)
    note(tmp_path, ["set/train/0", "set/train/5", "set/train/40"])
    evaluate(tmp_path, protocols=["knn"], without_leaks=True)
    assert "set: 3 of 60 training pictures left out, as they are tested too" in capsys.readouterr().err
    assert read_cell(cell_path(tmp_path, "only", "set", "knn")).about["counts"]["dropped"] == 3
    evaluate(tmp_path, protocols=["ridge"])
    assert "made again with" not in capsys.readouterr().err
    board = read_board(tmp_path, protocols=("knn", "ridge"))[0]
    assert [(c.protocol, c.without_leaks, c.dropped) for c in board.columns] == [
        ("knn", True, 3),
        ("ridge", False, None),
    ]
    assert "set: knn made without training pictures that are tested too, and ridge with them" in capsys.readouterr().err
    assert heads(board.columns) == ["set, knn, without leaks", "set, ridge"]
    words = "Without leaks: training pictures that are tested too were left out: set: 3. set: other columns were made with them"
    assert words in board_text(board)
    assert board_content(board, [])["leaks"].startswith(words)
    assert "knn, without leaks" in board_latex(board)
    assert board_content(board, [])["columns"][0]["how"] == "nearest neighbours, without leaks"
    assert [(r["without_leaks"], r["dropped"]) for r in board_table(board)] == [(True, 3), (False, None)]
    evaluate(tmp_path, protocols=["knn"])
    assert "knn: made again with the training pictures that are tested too" in capsys.readouterr().err
    board = read_board(tmp_path, protocols=("knn", "ridge"))[0]
    assert not any(c.without_leaks for c in board.columns)
    assert "warning" not in capsys.readouterr().err
