"""The curves of the page: lines lie where the cells say, titles claim what the intervals bear, and many encoders stay small."""

from __future__ import annotations

import csv
import dataclasses
import io
import re

import numpy as np
import pytest

from relic_eval.board import Board, Row
from relic_eval.cells import Result
from relic_eval.records import Cell, Measurement
from reports.drawings.frame import Frame
from reports.drawings.lines import Series, lines
from reports.drawings.trail import trail
from reports.page import to_html
from reports.sections.measures import measure_tables
from reports.sections.section import Material
from reports.sections.why.elsewhere import elsewhere_figure
from reports.sections.why.panels import LINES, MOST, choose
from reports.sections.why.probes import penalty_figure, votes_figure
from reports.sections.why.robustness import kinds_table, robust_figure, strengths
from reports.sections.why.semi import semi_figure
from reports.sections.why.shifts import few_labels_figure
from reports.sections.why.shots import shots_figure, times_fewer
from reports.sections.why.spectrum import falling, ranks, spectrum_figure
from reports.sections.why.standing import standing
from reports.sections.why.why import FIGURES, why_section
from reports.style import looks

EVIL = "</script><img src=x onerror='window.marker=1'>" + "\u202ertl \N{HONEYBEE}" + "x" * 10_000
SHOTS = (1, 2, 4, 8, 16)


def about(task, n, classes=("a", "b"), **more):
    settings = {
        "name": task,
        "title": f"Task {task}",
        "dataset": task,
        "train": "train",
        "test": "test",
        "level": "class",
        "metric": "top1",
    }
    return {
        "title": f"Task {task}",
        "classes": list(classes),
        "counts": {"train": 400, "valid": 100, "test": n},
        "data": {"train": "d", "test": task},
        "settings": {"source": "s", "draws": [10] * 5},
        "versions": {},
        "stores": {},
        "task_settings": {**settings, "seed": 0, **more},
    }


def share(value, half=0.03, n=200, metric="top1", **params):
    return Measurement(
        metric, value, None if half is None else value - half, None if half is None else value + half, n, params
    )


def cell(encoder, task, protocol, rows, curves=None, n=200, **more):
    return Result(encoder, task, protocol, Cell(tuple(rows), None, curves), about(task, n, **more))


def few(encoder, values, task="t", half=0.03, n=200, full=None):
    """The cells of `fewshot` and, with `full`, of `linear-byol`."""
    each = [share(v, half, n, shots=k) for k, v in zip(SHOTS, values, strict=False)]
    found = [cell(encoder, task, "fewshot", [share(float(np.mean(values)), half, n, shots="mean"), *each], n=n)]
    return found + ([linear(encoder, full, task, n)] if full is not None else [])


def linear(encoder, value, task="t", n=200, penalty=1.0, edge=0):
    x = np.geomspace(1e-6, 1e5, 45)
    y = (value - 0.01 * np.abs(np.log10(x / penalty)) - 0.002 * np.sin(np.arange(45))).round(2)  # of 100 images
    names = np.repeat(["validation top1"], 45)
    return cell(
        encoder,
        task,
        "linear-byol",
        [share(value, 0.03, n, penalty=penalty, edge=edge)],
        {"name": names, "x": x, "y": y},
        n=n,
    )


def robust(encoder, values, task="t", clean=0.9, half=0.03, n=200, kinds=("fog", "snow")):
    """`values` at strengths 1 to 5, of the first kind a point more and of the last a point less."""
    more = {k: 0.01 * (1 - 2 * i / (len(kinds) - 1)) for i, k in enumerate(kinds)}
    rows = [
        share(float(np.mean(values)), half, n, kinds=len(kinds)),
        *(share(0.5 + d, half, n, kind=k) for k, d in more.items()),
    ]
    rows += [share(v, half, n, strength=s) for s, v in enumerate(values, 1)]
    rows += [share(clean, half, n, "clean_top1"), share(1 - float(np.mean(values)) / clean, half, n, "relative_drop")]
    each = [(k, float(s), v + d) for k, d in more.items() for s, v in enumerate(values, 1)]
    name, x, y = (np.array(c) for c in zip(*each, strict=True))
    return cell(encoder, task, "robust", rows, {"name": name, "x": x, "y": y}, n=n)


def spread_over(encoder, decay, task="t", last=300, rankme=50.0, n=200):
    rank = np.arange(1.0, last + 1)
    curves = {"name": np.repeat(["eigenvalues"], last), "x": rank, "y": 7.0 * rank**-decay}
    rows = [
        Measurement(m, v, n=n)
        for m, v in (("rankme", rankme), ("effective_rank", 40.0), ("participation_ratio", 9.0), ("alpha_req", decay))
    ]
    return cell(encoder, task, "spectrum", rows, curves, n=n)


def voting(encoder, values, task="t", chosen=5, n=200):
    ks = (1, 5, 10, 20, 50, 100, 200)
    rows = [share(v, 0.03, n, k=k, chosen=int(k == chosen)) for k, v in zip(ks, values, strict=False)]
    return cell(encoder, task, "knn", sorted(rows, key=lambda m: -m.params["chosen"]), n=n)


def points(drawing, place=0):
    """The points of the nth line, from the relative path."""
    path = re.findall(r'<g class="curve"[^>]*><path[^>]* d="(M[^"V]*)"', drawing)[place]
    found = [float(v) for v in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", re.sub(r"(\.\d+)(?=\.)", r"\1 ", path))]
    return np.cumsum(np.array(found).reshape(-1, 2), 0)


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def fits(at, frame, x, y):
    assert np.allclose(at, [frame.at(a, b) for a, b in zip(x, y, strict=True)], atol=0.051)


def passes(at, frame, x, y):
    """Points that nobody sees are left out: the line passes all of them within half a pixel."""
    px, py = np.array([frame.at(a, b) for a, b in zip(x, y, strict=True)]).T
    assert np.abs(np.interp(px, at[:, 0], at[:, 1]) - py).max() < 0.5


def test_a_relative_path_ends_where_the_points_do():
    rng = np.random.default_rng(0)
    at = rng.uniform(0, 300, (500, 2))
    drawing = f'<g class="curve"><path d="{trail(at.tolist())}"/></g>'
    assert np.allclose(points(drawing), at, atol=0.051)  # rounding does not add up


def test_lines_and_intervals_lie_where_the_axis_says():
    frame = Frame((1, 16), (0, 100), 360, 236, log_x=True)
    series = Series(
        looks(["byol"])["byol"], "BYOL", [1.0, 4.0, 16.0], [20.0, 50.0, 70.0], (2,), [(10.0, 30.0), None, (60.0, 80.0)]
    )
    drawing = lines([series], frame, ("x", "y"), "words", [1.0, 16.0])
    fits(points(drawing), frame, series.x, series.y)
    spans = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", re.search(r'class="span" d="([^"]*)"', drawing).group(1))
    expected = [(*frame.at(x, high), frame.at(x, low)[1]) for x, (low, high) in ((1, (10, 30)), (16, (60, 80)))]
    assert np.allclose(np.array(spans, float)[:, 1:], np.array(expected)[:, 1:], atol=0.051)
    assert np.allclose(np.array(spans, float)[:, 0], np.array(expected)[:, 0], atol=0.5)


def test_a_curve_over_labels_has_the_numbers_of_its_cell():
    results = [
        *few("byol", (0.3, 0.4, 0.5, 0.6, 0.7), full=0.9),
        *few("pixels", (0.2, 0.22, 0.25, 0.3, 0.35), full=0.5),
    ]
    figure = shots_figure(results, ["byol", "pixels"])
    # the axes go from 1 to beyond 16, where all labels stand, and as far as the intervals: 0.17 to 0.93
    frame = Frame((1, 16 * 2.6), (17 - 3.8, 93 + 3.8), 360, 236, left=54, right=122, top=10, bottom=42, log_x=True)
    passes(points(figure.drawing, 0), frame, SHOTS, [30, 40, 50, 60, 70])  # all labels are not joined to the line
    passes(points(figure.drawing, 1), frame, SHOTS, [20, 22, 25, 30, 35])
    assert ">all<" in figure.drawing
    first = table(figure.csv)[0]
    assert (first["encoder"], first["value_4"], first["low_4"], first["value_all"]) == ("byol", "0.5", "0.47", "0.9")
    assert "Task t (n = 200)" in figure.note


def test_fewer_labels_are_claimed_where_both_curves_cross_with_their_intervals():
    best = few("byol", (0.3, 0.4, 0.5, 0.6, 0.7))
    worse = few(
        "pixels", (0.1, 0.12, 0.15, 0.18, 0.2)
    )  # never where BYOL is with one image: how many times is not known
    assert "above Pixels at every number of labels" in shots_figure([*best, *worse], ["byol"]).title
    late = few("pixels", (0.1, 0.2, 0.3, 0.4, 0.5))
    level, times, least = times_fewer(
        dict(zip(SHOTS, best[0].cell.rows[1:], strict=True)),
        dict(zip(SHOTS, late[0].cell.rows[1:], strict=True)),
    )
    assert level == 50
    assert times == pytest.approx(4)  # 16 images against 4
    assert least == pytest.approx(2 ** (3.7 - 2.3))  # upper ends reach 50% at 2^3.7, lower ends at 2^2.3
    assert (
        shots_figure([*best, *late], ["byol"]).title
        == "Task t: BYOL reaches 50% with about 4 times fewer labels than Pixels (at least 2.6)"
    )


def test_curves_whose_intervals_touch_are_not_told_apart():
    results = [
        *few("byol", (0.3, 0.4, 0.5, 0.6, 0.7)),
        *few("relic", (0.29, 0.38, 0.49, 0.6, 0.71)),
        *few("pixels", (0.1, 0.12, 0.15, 0.18, 0.2)),
    ]
    title = shots_figure(results, ["byol"]).title
    assert title == "Task t: BYOL is above Pixels at every number of labels; not told apart from RELIC at some number"
    without = [
        dataclasses.replace(r, cell=Cell(tuple(dataclasses.replace(m, low=None, high=None) for m in r.cell.rows)))
        for r in results
    ]
    assert shots_figure(without, ["byol"]).title.startswith(
        "Task t: BYOL is highest on average over the numbers of labels; not told apart from RELIC and Pixels"
    )
    assert (
        shots_figure(results[:1], ["byol"]).title == "Task t: BYOL reaches 30.0% with 1 labelled a class, 70.0% with 16"
    )


def test_a_figure_over_labels_takes_the_place_of_the_one_with_five():
    five = cell("byol", "t", "fewshot-5", [share(0.4, shots=5)])
    five.about["settings"].update(shots=5, draws=20)
    alone = [five, linear("byol", 0.9)]
    assert few_labels_figure(alone, ["byol"]) is not None
    assert few_labels_figure([*alone, *few("byol", (0.3, 0.4))], ["byol"]) is None


def test_accuracy_over_strength_and_kinds_are_those_of_the_cells():
    results = [robust("byol", (0.8, 0.7, 0.6, 0.5, 0.4)), robust("pixels", (0.5, 0.4, 0.3, 0.25, 0.2), clean=0.6)]
    figure, kinds = robust_figure(results, ["byol", "pixels"]), kinds_table(results, ["byol", "pixels"])
    frame = Frame((0, 5), (17 - 3.8, 93 + 3.8), 360, 236, left=54, right=122, top=10, bottom=42)
    passes(points(figure.drawing, 0), frame, range(6), [90, 80, 70, 60, 50, 40])
    passes(points(figure.drawing, 1), frame, range(6), [60, 50, 40, 30, 25, 20])
    assert (
        figure.title
        == "Task t, corrupted: BYOL has the highest mean accuracy (60.0%, 90.0% as they are), surely above Pixels"
    )
    assert "strength 3" in kinds["caption"]
    assert [(k, [v for v, _ in its]) for k, its in kinds["rows"]] == [
        ("fog", ["61.0", "31.0"]),
        ("snow", ["59.0", "29.0"]),
    ]
    shades = [s for _, its in kinds["rows"] for _, s in its]
    assert (max(shades), min(shades), shades[0]) == (5, 0, 5)
    assert dict(kinds["over"])["relative drop, %"][0] == ("33.3", "30.3 to 36.3")
    assert table(figure.csv)[1]["value_5"] == "0.2"


def test_imagenet_c_is_drawn_like_other_corruptions_with_its_mce():
    c = robust("byol", (0.8, 0.7, 0.6, 0.5, 0.4), task="imagenet-c")
    rows = (
        *c.cell.rows,
        share(0.7, 0.01, metric="mce"),
        share(0.2, 0.01, kind="fog", strength=3),
        share(0.6, 0.01, metric="ce", kind="fog"),
    )
    its = dataclasses.replace(c, protocol="robust-sets", cell=dataclasses.replace(c.cell, rows=rows))
    assert strengths(its)[3].value == 0.6  # not the one of a single kind
    assert "Protocol robust-sets" in robust_figure([its], ["byol"]).note
    assert dict(kinds_table([its], ["byol"])["over"])["mCE, %"] == [("70.0", "69.0 to 71.0")]
    assert measure_tables([its], ["byol"]) == []
    assert elsewhere_figure([its], ["byol"]) is None


def test_other_sets_of_the_same_classes_are_set_beside_the_own_one():
    other = {
        task: cell(
            "byol",
            task,
            "robust-sets",
            [share(v, n=n), share(0.9, metric="top1_restricted")],
            n=n,
            trains_on="imagenet",
        )
        for task, v, n in (("imagenet-r", 0.4, 300), ("imagenet-v2", 0.6, 900))
    }
    figure = elsewhere_figure([*other.values(), linear("byol", 0.8, "imagenet")], ["byol"])
    frame = Frame((0, 2), (37 - 2.3, 83 + 2.3))
    passes(points(figure.drawing), frame, range(3), [80, 60, 40])  # the own set, then those of most images
    assert [row["tested_on"] for row in table(figure.csv)] == ["imagenet-r", "imagenet-v2", "imagenet"]
    assert [t["heads"] for t in measure_tables(other.values(), ["byol"])] == [["top-1, %", "top1 restricted"]] * 2
    more = [
        cell("byol", f"set-{i}", "robust-sets", [share(0.5, n=100 - i)], n=100 - i, trains_on="imagenet")
        for i in range(7)
    ]
    assert elsewhere_figure(more, ["byol"]).note.endswith("Not drawn: Task set-6.")


def test_shares_of_the_labels_are_drawn_with_all_of_them_apart():
    def semi(name, one, ten):
        return [cell(name, "t", p, [share(v, labelled=9)]) for p, v in (("semi-1pct", one), ("semi-10pct", ten))]

    results = [*semi("byol", 0.5, 0.7), *semi("pixels", 0.2, 0.4), linear("byol", 0.9), linear("pixels", 0.45)]
    figure = semi_figure(results, ["byol", "pixels"])
    frame = Frame((1, 100), (17 - 3.8, 93 + 3.8), 360, 236, left=54, right=122, top=10, bottom=42, log_x=True)
    fits(points(figure.drawing, 0), frame, (1, 10), (50, 70))
    fits(points(figure.drawing, 1), frame, (1, 10), (20, 40))
    assert "linear-byol, all labels, the network frozen" in figure.note
    assert figure.title == "Task t, 1% of the labels: BYOL has the highest accuracy, surely above Pixels"
    tuned = semi_figure([*results, cell("byol", "t", "finetune-small", [share(0.95)])], ["byol", "pixels"])
    assert "finetune-small, all labels." in tuned.note
    assert {r["value"] for r in table(tuned.csv) if r["labels_percent"] == "100"} == {
        "0.95"
    }  # no mixture of two protocols


def test_the_spectrum_is_over_its_first_value_with_few_points():
    results = [spread_over("byol", 0.5, rankme=120.0, last=2048), spread_over("pixels", 2.0, rankme=12.0, last=3000)]
    figure = spectrum_figure(results, ["byol", "pixels"])
    assert figure.title == "Task t: BYOL spreads over the most directions, RankMe 120; Pixels over the fewest, 12"
    at, value = falling(results[0])
    assert at == ranks(2048)
    assert np.allclose(value, np.array(at) ** -0.5)
    assert falling(results[1])[0][-1] == 999  # 1000 ** -2 is a millionth: beneath it is rounding
    assert len(ranks(100_000)) <= 62
    low, high = np.log10(999.0**-2), 0.0
    room = 0.05 * (high - low)
    frame = Frame((1, 2048), (low - room, high + room), 360, 236, left=54, right=122, top=10, bottom=42, log_x=True)
    passes(points(figure.drawing), frame, at, np.log10(value))
    assert ">120 / 40 / 0.50<" in figure.drawing
    (left,) = measure_tables(results, ["byol"])
    assert left["heads"] == ["participation ratio"]


def test_tasks_with_a_penalty_at_an_end_come_first():
    results = [linear("byol", 0.9, task, edge=int(task == "z")) for task in ("a", "b", "z")]
    figure = penalty_figure(results, ["byol"])
    assert [name.split()[1] for name, _ in figure.beside] == ["z", "a", "b"]
    assert "at an end of the path for BYOL: a better one" in figure.title
    x, y = results[0].cell.curves["x"], 100 * results[0].cell.curves["y"]
    room = 0.05 * (y.max() - y.min())
    frame = Frame(
        (1e-6, 1e5), (y.min() - room, y.max() + room), 360, 236, left=54, right=122, top=10, bottom=42, log_x=True
    )
    for _, drawing in figure.beside:
        passes(points(drawing), frame, x, y)
    row = table(figure.csv)[0]
    assert (row["task"], row["chosen"], row["1e-06"]) == (
        "z",
        "1",
        str(round(float(results[0].cell.curves["y"][0]), 4)),
    )


def test_votes_lie_where_the_axis_says_for_every_task():
    values = (0.5, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35)
    figure = votes_figure([voting("byol", values, t) for t in ("a", "b")], ["byol"])
    frame = Frame((1, 200), (35 - 1.4, 63 + 1.4), 360, 236, left=54, right=122, top=10, bottom=42, log_x=True)
    for _, drawing in figure.beside:
        passes(points(drawing), frame, (1, 5, 10, 20, 50, 100, 200), [100 * v for v in values])
    assert figure.title == "Task a, votes of nearest neighbours: BYOL has the highest accuracy (60.0% at k = 5)"


def test_only_intervals_that_do_not_touch_are_sure():
    s = standing({"a": share(0.7, 0.05), "b": share(0.62, 0.05), "c": share(0.5, 0.05), "d": share(0.1, None)})
    assert (s.best, s.below, s.near) == ("a", ("c",), ("b", "d"))


def many(encoders, tasks):
    rng, found = np.random.default_rng(0), []
    for e, name in enumerate(encoders):
        for t, task in enumerate(tasks):
            n = 2000 - t
            base = 0.3 + 0.02 * e + rng.uniform(0, 0.01)
            found += few(name, base + 0.05 * np.arange(5) + rng.uniform(0, 0.01, 5), task, n=n, full=base + 0.3)
            found.append(
                robust(
                    name,
                    base + 0.3 - 0.05 * np.arange(5) + rng.uniform(0, 0.01, 5),
                    task,
                    n=n,
                    kinds=tuple(f"kind_of_damage_{k}" for k in range(15)),
                )
            )
            found.append(spread_over(name, 0.5 + 0.05 * e, task, 2048, n=n))
            found.append(voting(name, base + rng.uniform(0, 0.1, 7), task, n=n))
    return found


def material(results, encoders):
    rows = tuple(Row(e, (), None, None, None, None, None, 0, False) for e in encoders)
    return Material(results, Board(encoders[0], (), rows, ()))


ENCODERS, TASKS_12 = [f"encoder-number-{i:02}" for i in range(20)], [f"data-set-{i}" for i in range(12)]


@pytest.fixture(scope="module")
def crowd():
    return material(many(ENCODERS, TASKS_12), ENCODERS)


def test_twenty_encoders_of_twelve_tasks_stay_small_and_say_what_is_left_out(crowd):
    from reports.assets import environment

    section = why_section(crowd)
    body = environment().get_template("why.html").render(why=section.content)
    assert len(body.encode()) <= 60_000
    assert sum(len(text.encode()) for text in section.csv.values()) <= 35_000
    titles = {f.key: f.title for f in section.content["figures"]}
    # the best of all twenty, encoder-number-19, is not drawn: no title may claim more than the drawing shows
    assert titles["robust"].startswith(
        "Task data-set-0, corrupted: encoder-number-07 has the highest mean accuracy of those drawn ("
    )
    assert "the most directions of those drawn, RankMe" in titles["spectrum"]
    for f in section.content["figures"]:
        drawings = [d for _, d in f.beside]
        assert all(d.count('<g class="curve"') == LINES for d in drawings)
        assert len(drawings) * LINES <= MOST
        assert f"{len(drawings)} of 12 tasks" in f.note
        assert "without encoder-number-08, encoder-number-09, encoder-number-10 and 9 others" in f.note
    assert {row["encoder"] for row in table(section.csv["shots"])} == set(ENCODERS)  # all are in the data
    assert {row["encoder"] for row in table(section.csv["robust"])} == set(ENCODERS)


def test_tasks_of_most_encoders_then_images_are_drawn():
    results = [
        *few("a", (0.3,), "small", n=50),
        *few("a", (0.3,), "large", n=500),
        *few("a", (0.3,), "both", n=9),
        *few("b", (0.3,), "both", n=9),
    ]
    assert list(choose(results, ["a", "b"]).cells) == ["both", "large", "small"]
    assert choose([], []) is None


@pytest.mark.parametrize("make", FIGURES)
def test_no_cell_no_curve(make):
    assert make([], []) is None


def test_one_encoder_is_enough_for_every_figure():
    results = many(["byol"], ["t"])
    figures = [f for make in FIGURES if (f := make(results, ["byol"]))]
    assert [f.key for f in figures] == ["shots", "robust", "penalty", "votes", "spectrum"]
    assert all(len(f.beside) == 1 and "Task t (n = " in f.note for f in figures if f.key != "penalty")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light")])
def test_hostile_names_stay_within_their_drawings(visit, tmp_path, width, scheme):
    names = [EVIL, "byol", "pixels"]
    file = tmp_path / "page.html"
    file.write_text(to_html(material(many(names, ["t", EVIL]), names)), encoding="utf-8")
    page, faults = visit(file, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("window.marker") is None
    outside = page.evaluate(
        """() => [...document.querySelectorAll('#why .plot')].flatMap((svg) => { const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter((t) => { const r = t.getBoundingClientRect();
        return r.right > box.right + 1 || r.left < box.left - 1 || r.bottom > box.bottom + 1; }).map((t) => t.textContent); })"""
    )
    assert outside == []
    assert max(f.bounding_box()["height"] for f in page.locator("#why figure").all()) < 2500  # cut, not poured out
    assert faults == []


def test_names_at_the_ends_of_twenty_lines_do_not_touch(visit, tmp_path, crowd):
    file = tmp_path / "page.html"
    file.write_text(to_html(crowd), encoding="utf-8")
    page, faults = visit(file)
    gaps = page.evaluate(
        """() => [...document.querySelectorAll('#why .plot')].flatMap((svg) => { const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        const y = [...svg.querySelectorAll('text')].filter((t) => /enc/.test(t.textContent)).map((t) => t.getBoundingClientRect().top / scale).sort((a, b) => a - b);
        return y.slice(1).map((v, i) => v - y[i]); })"""
    )
    assert len(gaps) > 50
    assert min(gaps) >= 15
    assert faults == []
