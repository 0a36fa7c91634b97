"""The command line as people use it: one line an error, exit codes, npy files, the whole line in small."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import relic_eval


def run(*words, code=0):
    done = subprocess.run([sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    "command", ["quickstart", "pretrain", "embed", "evaluate", "report", "leaderboard", "list", "doctor"]
)
def test_help_shows_an_example(command):
    assert f"relic-eval {command}" in run(command, "--help").stdout.split("Example:")[1]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["pretrain", "relic2"], 2, "Did you mean 'relicv2'"),
        (["embed", "pixel"], 2, "Did you mean 'pixels'"),
        (["embed", "pixels", "--data", "./nowhere"], 1, "received nothing there"),
        (["evaluate", "--out", "nowhere"], 1, "Run 'relic-eval embed"),
        (["report", "--out", "nowhere"], 1, "quickstart"),
        (["list", "protocol"], 2, "Did you mean 'protocols'"),
        (["quickstrat"], 2, "No such command"),
        (["embed", "x.npy"], 2, "--labels"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(words, code, text, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (code, 1), done.stderr
    assert text in done.stderr


def test_two_npy_files_and_a_label_column_get_every_figure(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1, 2], 40)
    for name, spread in (("a", 0.3), ("b", 2.0)):
        np.save(tmp_path / f"{name}.npy", np.eye(3)[y] + rng.normal(0, spread, (120, 3)))
    pd.DataFrame({"kind": np.array(["x", "y", "z"])[y]}).to_csv(tmp_path / "l.csv", index=False)
    out = str(tmp_path / "out")
    files = [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]
    run("embed", *files, "--labels", f"{tmp_path}/l.csv:kind", "--out", out)
    assert "10 cells made" in run("evaluate", "--out", out).stdout
    assert "10 already there" in run("evaluate", "--out", out).stdout
    run("report", "--out", out)
    made = {p.name for p in (tmp_path / "out" / "report").rglob("*") if p.is_file()}
    assert {
        "index.html",
        "leaderboard.png",
        "leaderboard.svg",
        "neighbour_blocks.png",
        "discriminability.svg",
        "board.csv",
    } <= made
    assert "kind" not in run("leaderboard", "--out", out, "--csv").stdout
    assert "did you mean" in run("evaluate", "--out", out, "--protocol", "kn", code=2).stderr.lower()


def test_a_failed_cell_is_named_and_the_others_are_made(tmp_path):
    x = np.eye(2)[np.repeat([0, 1], 30)]
    x[0] = 0
    relic_eval.save_embeddings(x, np.repeat([0, 1], 30), tmp_path, name="mine")
    done = run("evaluate", "--out", str(tmp_path), code=3)
    assert "4 cells made, 0 already there, 1 failed" in done.stdout
    assert "no row of zeros" in done.stderr


def test_a_comparison_shows_itself(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1, 2], 40)
    a, b = (pd.DataFrame(np.eye(3)[y] + rng.normal(0, s, (120, 3))) for s in (0.3, 2.0))
    both = relic_eval.compare(a, b, pd.Series(y), out=tmp_path)
    assert both.board.rows[0].encoder == "a"
    assert "<table" in both._repr_html_()
    assert set(both.figures()) == {"leaderboard", "neighbour_blocks", "discriminability"}
    assert both.report().exists()
    assert set(both.table["encoder"]) == {"a", "b"}


def test_the_quickstart_in_small_twice(tmp_path):
    out = str(tmp_path / "run")
    first = run("quickstart", "--steps", "2", "--out", out)
    assert first.stdout.count("$ relic-eval") == 7
    page = (tmp_path / "run" / "report" / "index.html").read_bytes()
    code = (
        "import sys; from relic_eval.cli import app; app(['quickstart', '--steps', '2', '--out', sys.argv[1]], standalone_mode=False);"
        "print('heavy:', [m for m in ('torch', 'pandas', 'sklearn', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    second = subprocess.run([sys.executable, "-c", code, out], capture_output=True, text=True, check=True)
    assert "heavy: []" in second.stdout
    assert "0 cells made, 80 already there" in second.stdout
    assert (tmp_path / "run" / "report" / "index.html").read_bytes() == page
