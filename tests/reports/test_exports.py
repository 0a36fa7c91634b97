"""The board on terminals of any width, as LaTeX that compiles, as Parquet, and in the manner of mteb."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest

from relic_eval.board import Cost, board_table, make_board
from relic_eval.cells import Result
from relic_eval.files import digest_bytes
from relic_eval.records import Cell, Measurement
from reports.exports import board_parquet, task_results, write_task_results
from reports.figures.leaderboard import leaderboard_figure
from reports.latex import board_latex, escaped
from reports.latex_measures import discriminability_latex, purity_latex
from reports.sections.board.board import board_content
from reports.tables import board_csv, board_text
from reports.terminal import parts, show_board

NAMES = ("supervised", "=evil_50%&co", "mine", "other")
COSTS = {
    "mine": Cost(25_557_032, 4.089184256, 2048, 31.4, "timm:resnet50"),
    "supervised": Cost(120_320, 0.0104, 128, None, "file:thin-resnet"),
}


def result(encoder, right_N, task, metric="top1", protocol="linear-byol", title=None):
    n = len(right_N)
    table = {
        "item": np.array([f"{task}/{i}" for i in range(n)]),
        "true": np.arange(n) % 3,
        "predicted": np.zeros(n, int),
        "correct": np.asarray(right_N, "f"),
        "score": np.zeros(n, "f"),
    }
    row = Measurement("top1", float(np.mean(right_N)), 0.0, 1.0, n)
    about = {"title": title or task, "data": {"train": "d", "test": digest_bytes(task.encode())}, "stores": {}}
    about["task_settings"] = {"metric": metric, "dataset": task}
    return Result(encoder, task, protocol, Cell((row,), table), about)


@pytest.fixture(scope="module")
def results():
    """Four encoders on six tasks; `mine` and `other` are nearly tied, `other` lacks one task."""
    rng, cells = np.random.default_rng(0), []
    for t in range(6):
        hard_N = rng.random(240)
        for place, name in enumerate(NAMES):
            if (name, t) != ("other", 5):
                right_N = hard_N + rng.normal(0, 0.2, 240) < 0.5 + 0.08 * min(place, 2)
                title = f"Task {t}, with a long title of its own"
                cells.append(result(name, right_N, f"t{t}", ("top1", "mean_per_class")[t % 2], title=title))
    return cells


@pytest.fixture(scope="module")
def board(results):
    return make_board(results, draws=500)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(board, monkeypatch, width, **options):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    file = Terminal()
    show_board(board, file=file, **options)
    return file.getvalue()


PLAIN = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200, 400])
def test_a_terminal_of_any_width_shows_every_value_and_no_broken_line(board, monkeypatch, width):
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = PLAIN.sub("", shown(board, monkeypatch, width, costs=COSTS, speed=True))
    table = text[: text.index("Top-1")]
    assert max(map(len, table.splitlines())) <= width
    for row in board.rows:
        for entry in row.entries:
            assert entry is None or f"{100 * entry.value:.1f}" in table
    assert len(parts(board, width)) > 1 or width >= 120
    assert "25.6 M" in table
    assert "31" in table
    assert table.count("supervised".capitalize()) == len(parts(board, width, COSTS, True))


def test_no_color_leaves_no_colour(board, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = shown(board, monkeypatch, 120)
    assert re.search(r"\x1b\[[0-9;]*32m", coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(board, monkeypatch, 120)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)
    assert PLAIN.sub("", plain) == PLAIN.sub("", coloured)


def test_what_is_no_terminal_gets_plain_text(board):
    file = io.StringIO()
    show_board(board, file=file, costs=COSTS)
    assert file.getvalue() == board_text(board, COSTS)
    assert "\x1b" not in file.getvalue()
    assert "pictures/s" not in file.getvalue()
    lines = file.getvalue().splitlines()
    other = next(line for line in lines if line.startswith("other"))
    assert "5 of 6 measured" in other
    assert "Top-1 and mean per class in %" in file.getvalue()


def test_each_tie_with_the_best_says_how_many_images_would_tell(board):
    text = board_text(board)
    ties = [(n, d) for n in range(6) for r in board.rows if (d := board.behind(r.encoder, n)) and d.more_images]
    assert ties
    assert text.count(": about ") == len(ties)
    number, tie = ties[0]
    assert re.search(rf"Task {number}, .*: {re.escape(tie.better)} and {re.escape(tie.worse)}: about [\d,]+\n", text)


def test_csv_cells_that_a_spreadsheet_would_run_are_inert(board):
    rows = list(csv.DictReader(io.StringIO(board_csv(board, COSTS))))
    assert {r["encoder"] for r in rows} == {"supervised", "'=evil_50%&co", "mine", "other"}
    mine = next(r for r in rows if r["encoder"] == "mine")
    assert (mine["parameters"], mine["dims"], float(mine["gflops"])) == ("25557032", "2048", 4.08918)
    assert "pictures_a_second" not in mine


def test_parquet_holds_the_table_with_types(board):
    records = board_table(board, COSTS)
    table = pq.read_table(io.BytesIO(board_parquet(board, COSTS)))
    assert table.to_pylist() == records
    kinds = {f.name: str(f.type) for f in table.schema}
    assert (kinds["encoder"], kinds["n"], kinds["value"], kinds["tied_with_best"]) == (
        "string",
        "int64",
        "double",
        "bool",
    )
    alone = make_board([result("a", np.ones(30), "t")], draws=20)
    few = pq.read_table(io.BytesIO(board_parquet(alone, COSTS)))
    assert {f.name: str(f.type) for f in few.schema} == kinds
    assert board_parquet(board, COSTS) == board_parquet(board, COSTS)


def test_json_has_mtebs_fields(board, results, tmp_path):
    files = write_task_results(board, results, tmp_path)
    assert len(files) == 4 * 6 - 1
    found = json.loads((tmp_path / "mine" / "t1.json").read_text())
    entry = next(r for r in board.rows if r.encoder == "mine").entries[[c.task for c in board.columns].index("t1")]
    assert (found["task_name"], found["model_name"]) == ("t1", "mine")
    assert found["dataset_revision"] == digest_bytes(b"t1")
    (score,) = found["scores"]["test"]
    assert score["main_score"] == score["mean_per_class"] == entry.value
    assert (score["hf_subset"], score["languages"]) == ("linear-byol", [])
    assert "evaluation_time" not in found
    assert task_results(board, results)[("mine", "t1")] == found


def test_a_task_under_two_protocols_is_one_file(results):
    more = [*results, result("mine", np.ones(240), "t0", protocol="knn")]
    board = make_board(more, draws=50, protocols=("linear-byol", "knn"))
    scores = task_results(board, more)[("mine", "t0")]["scores"]["test"]
    assert [(s["hf_subset"], s["n"]) for s in scores] == [("linear-byol", 240), ("knn", 240)]


def test_latex_marks_the_best_and_the_tied(board):
    text = board_latex(board, COSTS)
    lines = {line.split(" & ")[0]: line for line in text.splitlines() if " & " in line}
    for number in range(6):
        best, cells = board.best(number), {}
        for row in board.rows:
            name = {"supervised": "Supervised", "=evil_50%&co": r"=evil\_50\%\&co"}.get(row.encoder, row.encoder)
            cells[row.encoder] = re.split(r" (?<!\\)& ", lines[name])[1 + number]
            entry = row.entries[number]
            if entry is None:
                assert cells[row.encoder] == "--"
            else:
                mark = "textbf" if row.encoder == best else "underline" if entry.tied_with_best else ""
                number_ = f"{100 * entry.value:.1f}"
                assert cells[row.encoder] == (f"\\{mark}{{{number_}}}" if mark else number_)
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1
    columns = re.search(r"begin\{tabular\}\{(\w+)\}", text).group(1)
    assert all(len(re.split(r"(?<!\\)&", line)) == len(columns) for line in text.splitlines() if line.endswith(r"\\"))


def measures(encoder, protocol, title, *rows):
    return Result(encoder, "t", protocol, Cell(tuple(rows)), {"title": title})


def test_latex_of_measures_has_each_median_and_purity_with_its_interval():
    rows = [
        Measurement("distance_ratio", 1.25, 1.2, 1.3, 50),
        Measurement("distance_ratio_median", 1.125, 1.1, 1.15, 50),
    ]
    pure = [Measurement("purity", 0.5, 0.4, 0.6, 50, {"k": 5}), Measurement("purity_null", 0.25, 0.2, 0.3, 50)]
    pure.append(Measurement("confusion", 0.9, None, None, 50, {"query": "a", "neighbour": "a"}))
    cells = [
        measures("a_b", "discriminability", "50% & more", *rows),
        measures("gone", "discriminability", "50% & more", Measurement("distance_ratio_median", None), rows[0]),
        measures("a_b", "discriminability-fisher", "T", *rows),
        measures("a_b", "blocks", "T", *pure),
        measures("a_b", "blocks-pets4", "T", *pure),
    ]
    ratios, purity = discriminability_latex(cells, ["gone", "a_b"]), purity_latex(cells, ["a_b"])
    body = [line for line in ratios.splitlines() if line.startswith(r"\quad")]
    assert body == [
        r"\quad gone & -- & 1.250 (1.200 to 1.300) \\",
        r"\quad a\_b & 1.125 (1.100 to 1.150) & 1.250 (1.200 to 1.300) \\",
    ]
    assert r"\multicolumn{3}{l}{50\% \& more, $n = 50$}" in ratios
    assert purity.count(r"\quad a\_b & 50.0 (40.0 to 60.0) & 25.0 (20.0 to 30.0) \\") == 2
    assert "{T, $n = 50$ (blocks-pets4)}" in purity
    for text in (ratios, purity):
        columns = re.search(r"begin\{tabular\}\{(\w+)\}", text).group(1)
        rows_ = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert all(len(re.split(r"(?<!\\)&", line)) == len(columns) for line in rows_)


EVIL = "\\input{/etc/passwd} $x^2$ 50% & #1 {a_b} ~ <\"'`|> \u4e2d\u202e\U0001f600 a\u0301\t\n^^M"


def test_latex_of_any_name_compiles(results, tmp_path):
    """Every sign of the keyboard, all of Latin-1, other alphabets and signs that turn the line, as names and titles."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex")
    latin = "".join(map(chr, range(0xA0, 0x100)))
    cells = [*results[:4], result(EVIL, np.ones(240), "t0"), result(latin, np.ones(240), "t0", title=EVIL)]
    text = board_latex(make_board(cells, draws=20), COSTS)
    assert "input{" not in re.sub(r"\\textbackslash\{\}input\\\{", "", text)
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n" + text + "\\end{document}\n"
    (tmp_path / "board.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "board.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert b"Missing character" not in (tmp_path / "board.log").read_bytes()


def test_what_latex_would_read_is_escaped():
    assert escaped("a\\b") == r"a\textbackslash{}b"
    assert escaped("\n\t") == "{[}U+000A]{[}U+0009]"
    assert escaped("é") == "é"


def test_the_page_names_metrics_and_says_what_holds_over_all_columns(board):
    section = board_content(board, [], COSTS)
    assert [c["metric"] for c in section["columns"]] == ["", "mean per class"] * 3
    over = {o["title"]: o for o in section["over"]}
    assert over["other"]["measured"] == "5 of 6"
    assert over["mine"]["cost"] == ["25.6 M", "4.09", "2048"]
    assert over["other"]["cost"] == ["", "", ""]
    assert [o["base"] for o in section["over"]].count(True) == 1


def test_the_figure_names_the_metric_of_each_panel(board):
    labels = [axes.get_xlabel() for axes in leaderboard_figure(board).axes[:6]]
    assert labels == ["top-1, % (n = 240)", "mean per class, % (n = 240)"] * 3
