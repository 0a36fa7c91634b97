"""The transfer benchmark from the command line: one grid, then everything that shows it, and mistakes that people make."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from relic_eval.cells import cell_path, read_cell, write_cell
from relic_eval.evaluators.table import describe
from relic_eval.records import Cell, Measurement


@pytest.fixture(scope="module")
def made(tmp_path_factory, cli):
    """A grid of two encoders on a folder of three classes, and the folder."""
    place, rng = tmp_path_factory.mktemp("cli"), np.random.default_rng(0)
    for number, kind in enumerate("abc"):
        (place / "birds" / kind).mkdir(parents=True)
        for i in range(20):
            grey = rng.integers(0, 110, (16, 16))
            grey[5 * number : 5 * number + 5] += 60
            Image.fromarray(grey.astype(np.uint8)).save(place / "birds" / kind / f"{i}.png")
    words = ("pixels", "random:thin-resnet", "--data", str(place / "birds"), "--out", str(place / "out"))
    done = cli("transfer", *words, "--protocol", "linear-byol", "--protocol", "knn")
    then = f"next: relic-eval leaderboard --protocol linear-byol --protocol knn --out {place / 'out'}"
    assert done.stdout == f"4 cells made, 0 already there, 0 failed\n{then}\n"
    return place


@pytest.mark.parametrize("command", ["transfer", "leaks", "compare", "anchor", "convert", "merge"])
def test_help_shows_an_example(command, cli):
    assert f"relic-eval {command}" in cli(command, "--help").stdout.split("Example:")[1]


def test_a_grid_is_taken_up_without_naming_it_again(made, cli):
    text = cli("transfer", "--resume", "--out", str(made / "out")).stdout
    assert text.startswith(
        "0 cells made, 4 already there, 0 failed\nnext: relic-eval leaderboard --protocol linear-byol"
    )


def test_what_failed_is_listed_at_the_end_with_where_the_notes_are(made, tmp_path, cli):
    for kind in "ab":
        (tmp_path / "bad" / kind).mkdir(parents=True)
        for i in range(20):
            (tmp_path / "bad" / kind / f"{i}.png").write_bytes(b"no picture" + kind.encode() + bytes([i]))
    words = ("pixels", "--data", str(made / "birds"), "--data", str(tmp_path / "bad"), "--protocol", "spectrum")
    lines = cli("transfer", *words, "--out", str(tmp_path / "a b"), code=3).stdout.splitlines()
    assert lines[0] == "1 cell made, 0 already there, 1 pair of encoder and data set failed"
    assert lines[1].startswith("failed: pixels on bad, embed: ")
    assert lines[2:] == [
        f"all reasons: {tmp_path / 'a b' / 'failures'}",
        f"next: relic-eval list results --out '{tmp_path / 'a b'}'",
    ]


def test_the_board_as_text_and_in_every_kind_of_file(made, tmp_path, cli):
    words = ("leaderboard", "--out", str(made / "out"), "--protocol", "knn", "--baseline", "pixels")
    text = cli(*words, "--speed").stdout
    assert "Pixels" in text
    assert "GFLOPs" in text
    for ending in ("csv", "parquet", "tex"):
        assert cli(*words, "--to", str(tmp_path / f"board.{ending}")).stdout.strip().endswith(f"board.{ending}")
    csv, parquet = pd.read_csv(tmp_path / "board.csv"), pd.read_parquet(tmp_path / "board.parquet")
    np.testing.assert_allclose(csv["value"], parquet["value"])
    assert set(csv["encoder"]) == {"pixels", "random"}
    assert "\\toprule" in (tmp_path / "board.tex").read_text()
    cli(*words, "--to", str(tmp_path / "folder"))
    content = json.loads((tmp_path / "folder" / "pixels" / "birds.json").read_text())
    assert content["scores"]["test"][0]["main_score"] == csv["value"][csv["encoder"] == "pixels"].iloc[0]
    assert "expected a file ending in" in cli(*words, "--to", "board.docx", code=2).stderr


NONE_BESIDE = "No column of this board has published numbers"
NONE_AMONG = "none of these encoders is among the larger networks"


def test_published_numbers_beside_a_board_that_has_no_counterpart(made, tmp_path, cli):
    words = ("leaderboard", "--out", str(made / "out"), "--protocol", "knn", "--baseline", "pixels")
    done = cli(*words, "--published")
    assert NONE_BESIDE in done.stdout
    assert done.stderr.count(NONE_AMONG) == 1
    done = cli(*words, "--scaling", str(tmp_path / "scaling"))
    assert (tmp_path / "scaling.svg").stat().st_size > 10_000
    assert NONE_BESIDE not in done.stdout
    assert done.stderr.count(NONE_AMONG) == 1
    assert NONE_AMONG not in cli(*words).stderr


def test_a_model_with_imagenets_linear_probe_is_among_the_larger_networks(made, tmp_path, cli):
    """A cell of hand-made answers under the names of the real task, of an encoder whose parameters are known."""
    out = shutil.copytree(made / "out", tmp_path / "out")
    about = read_cell(cell_path(out, "random", "birds", "knn")).about
    settings = {**about["task_settings"], "dataset": "imagenet"}
    about = {**about, "settings": describe("linear-imagenet"), "task_settings": settings, "stores": {}}
    right_N, true_N = np.arange(100) < 70, np.arange(100) % 2
    table = {"item": np.arange(100).astype(str), "true": true_N, "predicted": true_N ^ ~right_N}
    table |= {"correct": right_N.astype("f"), "score": right_N.astype("f")}
    cell = Cell((Measurement("top1", 0.7, 0.6, 0.8, 100),), table)
    write_cell(out, "random", "imagenet", "linear-imagenet", cell, about)
    done = cli("leaderboard", "--out", str(out), "--protocol", "linear-imagenet", "--published")
    row = next(line for line in done.stdout.partition(NONE_BESIDE)[2].splitlines() if line.startswith("random "))
    assert row.split()[-1] == "70.0"
    assert NONE_AMONG not in done.stderr


def test_two_encoders_picture_by_picture(made, cli):
    text = cli("compare", "pixels", "random", "--task", "birds", "--out", str(made / "out")).stdout
    assert "only pixels  only random" in text
    wrong = cli("compare", "pixels", "randm", "--task", "birds", "--out", str(made / "out"), code=2).stderr
    assert "Did you mean 'random'" in wrong


def test_leaks_are_named(made, tmp_path, cli):
    assert "0 exact" in cli("leaks", str(made / "birds"), "--out", str(tmp_path)).stdout


def test_results_of_two_machines_are_put_together(made, tmp_path, cli):
    shards = [tmp_path / "one", tmp_path / "two"]
    for number, out in enumerate(shards, 1):
        words = ("pixels", "random:thin-resnet", "--data", str(made / "birds"), "--protocol", "knn", "--out", str(out))
        assert cli("transfer", *words, "--shard", f"{number}/2").stdout.startswith("1 cell made")
    cli("merge", *map(str, shards), "--out", str(tmp_path / "both"))
    lines = cli("leaderboard", "--out", str(tmp_path / "both"), "--protocol", "knn", "--csv").stdout.splitlines()
    assert len(lines) == 3


def test_a_published_figure_is_rerun_on_what_is_there(made, tmp_path, cli):
    for split in ("train", "val"):
        shutil.copytree(made / "birds", tmp_path / "tiny" / split)
    words = ("dino-r50", "--encoder", "random:thin-resnet", "--data", str(tmp_path / "tiny"))
    text = cli("anchor", *words, "--out", str(tmp_path / "out")).stdout
    assert "theirs      67.5%" in text
    assert "verdict     none" in text  # of other images


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["transfer"], 2, "at least one, or --resume"),
        (["transfer", "--resume", "pixels"], 2, "no encoders, data, protocols or settings beside it"),
        (["transfer", "--resume", "--out", "nowhere"], 1, "grid.json"),
        (["transfer", "pixels", "--data", "mini-cifar"], 2, "Did you mean 'mini-cifar10'"),
        (["transfer", "pixels", "--data", "digits", "--protocol", "finetune-smal"], 2, "Did you mean 'finetune-small'"),
        (["transfer", "pixels", "--data", "digits", "--shard", "3/2"], 2, "2/8"),
        (["transfer", "pixels", "--data", "digits", "--kind", "fog"], 2, "--corruptions beside it"),
        (["transfer", "timm:resnet5", "--data", "digits"], 2, "resnet50"),
        (["evaluate", "--out", "MADE", "--protocol", "finetune-small"], 2, "relic-eval transfer ENCODER"),
        (["anchor", "dino-r5"], 2, "Did you mean 'dino-r50'"),
        (["convert", "nowhere.pkl"], 1, "nowhere.pkl"),
        (["embed", "x.npy", "--corruptions", "3"], 2, "--corruptions: expected encoders of pictures"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(words, code, text, tmp_path, monkeypatch, made, cli):
    monkeypatch.chdir(tmp_path)
    done = cli(*(str(made / "out") if word == "MADE" else word for word in words), code=code)
    assert text in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
