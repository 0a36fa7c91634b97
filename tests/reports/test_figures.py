"""Figures for papers: what lies where against the cells, sizes, letters, fonts in the PDF, and what is said where one cannot be."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.text import Text

import relic_eval
from relic_eval.board import make_board
from relic_eval.cells import Result
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.library.showing import write_figures
from relic_eval.listing import lines
from relic_eval.records import Cell, Measurement
from reports.figures.change import change_figure
from reports.figures.confusion import confusion_figure
from reports.figures.discriminability import discriminability_figure, shares_below
from reports.figures.few_shot import few_shot_figure
from reports.figures.files import figure_bytes, write_figure
from reports.figures.neighbour_blocks import dots_image
from reports.figures.penalty_path import penalty_path_figure
from reports.figures.robustness import robustness_figure
from reports.figures.spectrum import DRAWN, eigenvalues, spectrum_figure
from reports.figures.table import FIGURES, figures
from reports.figures.widths import VENUES, inches
from reports.material import read_material
from reports.sections.choose import with_ratio
from reports.sections.neighbours.neighbours import colour_scale, read_blocks
from reports.sections.section import Material
from reports.style import looks

HOSTILE = (
    "a" * 10_000,
    "</script><img src=x onerror=alert(1)>",
    "$x^2_{",
    "\u0645\u062b\u0627\u0644-\u202ertl",
    "\U0001f600",
    "tab\tand\nline",
)
METHODS = ("supervised", "byol", "relicv2", "simclr", "pixels", "random")


def cells(encoder, task="birds", strength=0.8, seed=0, classes=4):
    """Made-up cells of every protocol that a figure is of, on 120 test images."""
    rng = np.random.default_rng([seed, len(encoder)])
    true = np.arange(120) % classes
    predicted = np.where(rng.random(120) < strength, true, (true + 1) % classes)
    names = [f"class {c}" for c in range(classes)]
    about = {
        "title": f"Set of {task}",
        "classes": names,
        "superclasses": None,
        "counts": {"train": 300, "valid": 60, "test": 120},
        "data": {"train": "d", "test": f"d{task}"},
        "task_settings": {"dataset": task, "metric": "top1", "train": "train", "test": "test", "level": "class"},
        "settings": {},
    }
    correct = (true == predicted).astype(float)
    score = 1 + strength * rng.random(120)
    table = {
        "item": np.arange(120).astype(str),
        "true": true,
        "predicted": predicted,
        "correct": correct,
        "score": score,
    }
    value = float(correct.mean())

    def row(metric="top1", value=value, **params):
        return Measurement(metric, value, max(0.0, value - 0.05), value + 0.05, 120, params)

    path = {
        "name": np.repeat(["validation top1"], 5),
        "x": 10.0 ** np.arange(-2, 3),
        "y": value * np.linspace(0.8, 1, 5),
    }
    linear = Cell((row(penalty=1.0),), table, path)
    shots = [row(shots="mean"), *(row(value=value * (0.5 + 0.1 * i), shots=s) for i, s in enumerate((1, 2, 4)))]
    robust = [
        row(),
        row(kind="fog"),
        *(row(value=value - 0.1 * s, strength=s) for s in (1, 3)),
        row("clean_top1", value),
    ]
    ratios = [row("distance_ratio", 1 + strength), row("distance_ratio_median", float(np.median(score)))]
    ratios += [row("distance_ratio", 1 + 0.1 * c, **{"class": n}) for c, n in enumerate(names)]
    eigen = {"name": np.repeat(["eigenvalues"], 300), "x": np.arange(1.0, 301), "y": 0.9 ** np.arange(300)}
    found = {
        "linear-byol": linear,
        "fewshot": Cell(tuple(shots), table),
        "robust": Cell(tuple(robust), table),
        "discriminability": Cell(tuple(ratios), table),
        "spectrum": Cell((row("rankme", 50.0),), None, eigen),
    }
    near = {"item": table["item"][(np.arange(120)[:, None] + [1, 2, 3]).ravel() % 120]}
    near |= {"rank": np.tile([0, 1, 2], 120), "distance": 0.1 + rng.random(360)}
    found["blocks"] = Cell((row("purity", 0.5),), table, None, near)
    return [Result(encoder, task, protocol, cell, about) for protocol, cell in found.items()]


def material(encoders, tasks=("birds", "cars"), classes=4):
    made = [
        r for e, name in enumerate(encoders) for t in tasks for r in cells(name, t, 0.9 - 0.03 * e, e, classes=classes)
    ]
    history = {"loss": [(0, 4.0), (50, 2.0), (100, 1.0)], "kl": [(0, 0.5), (50, 0.4), (100, 0.3)]}
    rows = [{"step": s, "images": 64 * s, "views": 128 * s, "flops": 1e9 * s, "linear": 0.3 + s / 300, "knn": 0.2 + s / 300} for s in (10, 50, 100)]  # fmt: skip
    training = {"history": history, "monitor": rows, "steps": 100, "method": "byol", "data": {}, "run": "mine"}
    encoder = {"kind": "file:x", "parameters": 10, "gflops": None}
    stores = {}
    for number, name in enumerate(encoders):  # the first two are checkpoints of one run
        its = {**training, "step": 100 if number else 50, "config": {"seed": max(1, number)}}
        stores[name] = [{"encoder": {**encoder, "training": its}, "dims": 8}]
    return Material(made, make_board(made, draws=50), stores)


@pytest.fixture(scope="module")
def many():
    return material(METHODS)


@pytest.fixture(scope="module")
def everything(many):
    return {name: kind.make(many, 5.5) for name, kind in FIGURES.items()}


def words(figure):
    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]


def test_every_figure_is_made_of_cells_that_have_all(everything):
    assert all(everything.values())
    assert len(everything) == 13


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [3.25, 5.5])
def test_a_figure_is_as_wide_as_asked_for_and_its_letters_are_large_enough(many, name, width):
    figure = FIGURES[name].make(many, width)
    assert figure.get_figwidth() == width
    assert min(t.get_fontsize() for t in words(figure)) >= 7


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [3.25, 6.75])
def test_all_that_is_drawn_lies_within_the_paper(many, name, width):
    figure = FIGURES[name].make(many, width)
    figure_bytes(figure, ".svg")  # lays it out
    box = figure.get_tightbbox()
    assert box.x0 >= -0.04
    assert box.y0 >= -0.04
    assert box.x1 <= width + 0.04
    assert box.y1 <= figure.get_figheight() + 0.04


def test_fonts_are_in_the_pdf_as_truetype(everything):
    for name, figure in everything.items():
        pdf = figure_bytes(figure, ".pdf")
        kinds = re.findall(rb"/Subtype /(Type\d|Type\dC?|TrueType|CIDFontType\d)\b", pdf)
        described = re.findall(rb"/Type /FontDescriptor.*?>>", pdf, re.S)
        assert b"Type3" not in kinds, name
        assert described, name
        assert all(b"/FontFile2" in one for one in described), name
        assert b"/CreationDate" not in pdf, name


def test_same_cells_same_bytes(tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests/reports')\n"
        "from test_figures import material\nfrom reports.figures.files import figure_bytes\n"
        "from reports.figures.table import figures\nfrom relic_eval.files import digest_bytes\n"
        "m = material(('byol', 'mine'))\n"
        "print({n: [digest_bytes(figure_bytes(f, e)) for e in ('.pdf', '.svg', '.png')] for n, f in figures(m).items()})"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert said[0].count("[") == 12


@pytest.mark.parametrize("count", [1, 2, 20])
def test_one_encoder_and_twenty_with_names_of_any_kind(count):
    names = (METHODS + HOSTILE + tuple(f"resnet50-batch-{n:04}" for n in range(20)))[:count]
    m = material(names if count < 20 else (*HOSTILE, *names[: 20 - len(HOSTILE)]), ("birds",), classes=30)
    made = figures(m, 3.25)
    lacking = {1: {"change", "history"}, 2: set(), 20: {"history"}}[count]
    assert set(FIGURES) - set(made) == {"scaling", *lacking}
    for figure in made.values():
        pdf = figure_bytes(figure, ".pdf")
        assert pdf.startswith(b"%PDF")
        assert max(len(t.get_text()) for t in words(figure)) < 400
        assert b"<img" not in figure_bytes(figure, ".svg")


def test_an_encoder_looks_the_same_in_every_figure(many, everything):
    colour = looks(METHODS)["relicv2"].colour
    for name in set(FIGURES) - {"confusion", "scaling", "neighbour-blocks", "history"}:
        assert colour in figure_bytes(everything[name], ".svg").decode(), name


def test_bars_of_change_are_the_boards(many):
    figure = change_figure(many.board)
    rows = [r for r in many.board.rows if r.encoder != many.board.baseline]
    assert many.board.baseline == "supervised"
    for axes, row in zip(figure.axes, rows, strict=False):
        drawn = [bar.get_width() for bar in axes.patches]
        assert drawn == pytest.approx([e.change for e in row.entries])
        hollow = [bar.get_facecolor()[:3] == (1.0, 1.0, 1.0) for bar in axes.patches]
        assert hollow == [e.change_low <= 0 <= e.change_high for e in row.entries]
        (whiskers,) = axes.collections
        ends = [sorted(segment[:, 0]) for segment in whiskers.get_segments()]
        assert np.allclose(ends, [(e.change_low, e.change_high) for e in row.entries])
        mean = next(line for line in axes.lines if line.get_marker() == "D")
        assert mean.get_xdata()[0] == pytest.approx(row.change)
    assert change_figure(make_board(cells("byol"), draws=20)) is None


@pytest.mark.parametrize("key", ["figure.autolayout", "figure.constrained_layout.use"])
def test_what_somebody_has_set_for_matplotlib_changes_no_byte(many, key):
    for name in ("neighbour-blocks", "leaderboard"):  # with a bar of colours, and without
        whole = figure_bytes(FIGURES[name].make(many, 5.5), ".svg")
        with rc_context({key: True}):
            figure = FIGURES[name].make(many, 5.5)
            engine = figure.get_layout_engine()
            assert figure_bytes(figure, ".svg") == whole
        assert figure.get_layout_engine() is engine


def degenerate(r):
    """The cell with one point where there were several, all ratios and all distances alike."""
    cell, curves = r.cell, r.cell.curves
    if curves is not None:
        kept = slice(2, 3) if r.protocol == "linear-byol" else slice(0, 1)
        curves = {name: column[kept] for name, column in curves.items()}
    table, near, rows = cell.predictions, cell.neighbours, cell.rows
    if r.protocol == "discriminability":
        table = {**table, "score": np.full(120, 1.5)}
    if near is not None:
        near = {**near, "distance": np.zeros(360)}
    if r.protocol == "fewshot":
        rows = rows[:2]
    if r.protocol == "robust":
        rows = tuple(m for m in rows if "strength" not in m.params and m.metric == "top1")
    return dataclasses.replace(r, cell=Cell(rows, table, curves, near))


def test_cells_of_a_single_point_and_encoders_that_are_alike_are_drawn():
    """Warnings are errors here: axes of no width would be one."""
    one = [degenerate(r) for r in cells("byol")]
    alike = [*one, *(dataclasses.replace(r, encoder="mine") for r in one)]
    made = figures(Material(alike, make_board(alike, draws=20)), 3.25)
    assert set(FIGURES) - set(made) == {"robustness", "losses", "sample-efficiency", "scaling", "history"}
    for figure in made.values():
        figure_bytes(figure, ".svg")


def test_curves_lie_where_the_cells_say(many):
    byol = next(r for r in many.results if (r.encoder, r.task, r.protocol) == ("byol", "birds", "fewshot"))
    y = [100 * m.value for m in byol.cell.rows[1:]]
    few = few_shot_figure(many.results, many.order)
    assert any(list(line.get_ydata()) == pytest.approx(y) for line in few.axes[0].lines)
    assert [t.get_text() for t in few.axes[0].get_xticklabels()] == ["1", "2", "4"]
    robust = robustness_figure(many.results, many.order)
    its = next(r for r in many.results if (r.encoder, r.task, r.protocol) == ("byol", "birds", "robust"))
    clean = next(m.value for m in its.cell.rows if m.metric == "clean_top1")
    values = [100 * v for v in (clean, *(m.value for m in its.cell.rows if "strength" in m.params))]
    assert any(list(line.get_ydata()) == pytest.approx(values) for line in robust.axes[0].lines)
    assert [t.get_text() for t in robust.axes[0].get_xticklabels()] == ["clean", "1", "3"]
    paths = penalty_path_figure(many.results, many.order)
    marks = [line for line in paths.axes[0].lines if line.get_marker() not in ("None", None)]
    assert {float(line.get_xdata()[0]) for line in marks} == {1.0}


def test_intervals_are_drawn_of_a_few_and_not_of_many(many):
    assert len(few_shot_figure(many.results, many.order).axes[0].collections) == 6
    more = material([*METHODS, "mine"], ("birds",))
    assert len(few_shot_figure(more.results, more.order).axes[0].collections) == 0


def test_a_spectrum_is_thinned_and_ends_where_rounding_begins(many):
    its = next(r for r in many.results if r.protocol == "spectrum")
    line = eigenvalues(its, looks([its.encoder])[its.encoder])
    assert len(line.x) <= DRAWN
    assert (line.x[0], line.y[0]) == (1, 1.0)
    assert min(line.y) > 1e-6
    assert line.y[-1] == pytest.approx(0.9 ** (line.x[-1] - 1))
    zero = dataclasses.replace(its, cell=Cell(its.cell.rows, None, {**its.cell.curves, "y": np.zeros(300)}))
    assert spectrum_figure([zero], ["byol"]) is None


def test_shares_at_or_below_count_images_beyond_the_axis():
    (its,) = [r for r in cells("byol") if r.protocol == "discriminability"]
    score = its.cell.predictions["score"]
    x, y = shares_below([its], (1.2, 1.5))["byol"]
    assert y[0] == pytest.approx(100 * np.mean(score <= 1.2))
    assert y[-1] == pytest.approx(100 * np.mean(score <= x[-1]))


def test_medians_stand_in_their_order(many):
    found = with_ratio(many.results, many.order)
    lanes = discriminability_figure(found).axes[0]
    values = [float(t.get_text()) for t in lanes.texts]
    assert values == sorted(values, reverse=True)
    assert len(values) == 6


def test_confusion_holds_the_shares_of_the_predictions(many):
    figure = confusion_figure(many.results, many.order)
    best = next(r for r in many.results if (r.encoder, r.task, r.protocol) == (many.order[0], "birds", "linear-byol"))
    table = best.cell.predictions
    right = np.mean(table["predicted"][table["true"] == 0] == 0)
    (said,) = [t.get_text() for t in figure.axes[0].texts if t.get_position()[0] == 0 and t.get_position()[1] < 0.5]
    assert said == f"{int(100 * right + 0.5)}"
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == [f"class {c}" for c in range(4)]


def test_a_dot_lies_at_each_neighbour_and_nowhere_else(many):
    (block,) = read_blocks(
        [r for r in many.results if (r.encoder, r.task, r.protocol) == ("byol", "birds", "blocks")], ["byol"]
    )
    image, n = dots_image(block, 2.0, colour_scale([block])), 120
    each = len(image) // n
    there = np.zeros((n, n), bool)
    there[np.repeat(np.arange(n), 3), block.index_NK.ravel()] = True
    middle = image[each // 2 :: each, each // 2 :: each]
    assert (middle[there][:, 3] == 255).all()
    assert not middle[~there & ~np.roll(there, 1, 1) & ~np.roll(there, -1, 1)][:, 3].any()
    near, far = block.distance_NK.argmin(), block.distance_NK.argmax()
    shades = [int(middle[p // 3, block.index_NK.ravel()[p]][:3].sum()) for p in (near, far)]
    assert shades[0] < shades[1]  # nearer is darker


def test_widths_of_venues():
    assert {name: inches(name) for name in ("neurips", "ICLR", "icml", "cvpr", "aaai", "jmlr", "lncs")} == {
        "neurips": 5.5, "ICLR": 5.5, "icml": 3.25, "cvpr": 3.25, "aaai": 3.3, "jmlr": 6.0, "lncs": 4.8
    }  # fmt: skip
    assert inches("cvpr", 2) == 6.875
    assert all(len(v) == 1 or v[1] > 2 * v[0] for v in VENUES.values())
    for wrong in ("0.1", "nan", "inf", "1e9"):
        with pytest.raises(ArgumentError, match="to 20 inches"):
            inches(wrong)
    with pytest.raises(UnknownNameError, match=r"or a number of inches, received 'nurips'\. Did you mean 'neurips'"):
        inches("nurips")
    with pytest.raises(ArgumentError, match="none beside a width in inches"):
        inches(3.0, 2)


def test_the_command_writes_what_its_ending_says(shifted_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert write_figures("neighbour_blocks", shifted_folder)[0].name == "neighbour-blocks.pdf"
    for ending, start in ((".pdf", b"%PDF"), (".SVG", b"<?xml"), (".png", b"\x89PNG")):
        (place,) = write_figures("leaderboard", shifted_folder, tmp_path / f"f{ending}", width="icml", columns=2)
        assert place.read_bytes().startswith(start)
    with pytest.raises(ArgumentError, match=r"--to: expected a file ending in .pdf, .svg, .png, received f.eps"):
        write_figures("leaderboard", shifted_folder, tmp_path.joinpath("f.eps").relative_to(tmp_path))
    with pytest.raises(UnknownNameError, match=r"spectrum, received 'neighbors'\. Did you mean 'neighbour-blocks'"):
        write_figures("neighbors", shifted_folder)
    every = write_figures("all", shifted_folder, tmp_path / "many")
    assert {f.stem for f in every} == set(figures(read_material(shifted_folder)))
    assert {f.suffix for f in every} == {".pdf"}


def test_what_is_missing_says_which_protocol_and_what_to_type(shifted_folder):
    command = re.escape(f"'relic-eval evaluate --protocol fewshot --out {shifted_folder}' makes them.")
    with pytest.raises(
        DataError, match=rf"figure few-shot: expected fewshot, received cells of .*blocks.*\. {command}"
    ):
        relic_eval.figure("few-shot", shifted_folder)
    for name in ("robustness", "losses", "sample-efficiency"):
        with pytest.raises(
            DataError, match=rf"figure {name}: expected .*'relic-eval (transfer|pretrain) .*' (makes|trains) "
        ):
            relic_eval.figure(name, shifted_folder)


def test_python_gives_the_figure_of_these_encoders(shifted_folder):
    figure = relic_eval.figure("leaderboard", shifted_folder, width=4, encoders=["byol", "pixels"], baseline="pixels")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["Pixels", "BYOL"]
    knn = relic_eval.figure("change", shifted_folder, protocols=["knn"])
    assert len(knn.axes[0].patches) == len(
        {r.task for r in read_material(shifted_folder).results if r.protocol == "knn"}
    )


def test_the_list_has_a_line_a_figure(tmp_path):
    found = lines("figures", tmp_path)
    assert [line.split(":")[0] for line in found] == list(FIGURES)
    assert all("(needs " in line for line in found)


def test_the_report_has_every_figure_as_svg(shifted_folder):
    from reports.write import write_report

    folder = write_report(shifted_folder).parent / "figures"
    assert {f.name for f in folder.iterdir()} == {f"{n}.svg" for n in figures(read_material(shifted_folder))}
    assert "neighbour-blocks.svg" in {f.name for f in folder.iterdir()}


def test_a_tall_figure_says_so(shifted_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("relic_eval.library.showing.PAGE", 1)
    write_figures("leaderboard", shifted_folder, tmp_path / "f.svg")
    assert "inches tall, and a page holds about 1: --encoder and --task choose fewer" in capsys.readouterr().err


def test_an_ending_is_checked_where_a_figure_is_written(everything, tmp_path):
    with pytest.raises(ArgumentError, match=r"LaTeX takes \.pdf"):
        write_figure(everything["change"], tmp_path / "f.pgf")
