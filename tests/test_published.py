"""Published numbers: some by hand, none invented, damaged tables refused, beside ours and never among them."""

from __future__ import annotations

import csv
import io
import tomllib
from pathlib import Path

import numpy as np
import pytest

from relic_eval.board import Cost, make_board
from relic_eval.cells import Result
from relic_eval.errors import DataError
from relic_eval.published import Own, larger_networks, network_of, own_models, published, published_beside
from relic_eval.published.read import HEAD, MARKS, parse, refuse_twice
from relic_eval.records import Cell, Measurement
from reports.figures.files import save
from reports.figures.scaling import scaling_figure
from reports.published import beside_csv, beside_records, beside_text, larger_csv, larger_text, networks_of

ROOT = Path(__file__).parents[1]
ROWS = published()
LINE = "m,resnet50,24,ImageNet,t,knn,top1,10,50.5,a paper,seen,true,\n"


def values(method, task, protocol, metric, network="resnet50"):
    return [
        p.value
        for p in ROWS
        if (p.method, p.task, p.protocol, p.metric, p.network) == (method, task, protocol, metric, network)
    ]


@pytest.mark.parametrize(
    ("method", "network", "task", "protocol", "metric", "expected"),
    [
        ("RELICv2", "resnet50", "imagenet", "linear-imagenet", "top1", {77.1, 76.8, 70.3, 71.1, 71.4}),
        ("RELICv2", "resnet200-2x", "imagenet", "linear-imagenet", "top1", {80.6}),
        ("C-BYOL", "resnet50", "imagenet", "linear-imagenet", "top1", {75.6, 75.8, 76.0}),
        ("SwAV", "resnet50-5x", "imagenet", "linear-imagenet", "top1", {78.5}),
        ("Supervised", "resnet152", "imagenet", "linear-imagenet", "top1", {79.1, 78.3}),
        ("BYOL", "resnet200-2x", "imagenet", "linear-imagenet", "top5", {94.9}),
        ("DINO", "vit-b/8", "imagenet", "linear-imagenet", "top1", {80.1}),
        ("EsViT", "swin-b/w14", "imagenet", "linear-imagenet", "top1", {81.3}),
        ("MoCo v3", "vit-s", "imagenet", "linear-imagenet", "top1", {73.2, 73.4}),
        ("DINO", "resnet50", "imagenet", "knn-dino-20", "top1", {67.5}),
        ("NNCLR", "resnet50", "imagenet", "semi-10pct", "top1", {69.8, 70.2}),
        ("BYOL", "resnet50-4x", "imagenet", "semi-1pct", "top5", {87.9}),
        ("Supervised", "resnet50", "pets", "linear-byol", "mean_per_class", {91.5}),
        ("BYOL", "resnet50", "voc2007", "linear-byol", "map11", {82.5}),
        ("NNCLR", "resnet50", "flowers102", "linear-byol", "mean_per_class", {95.1}),
        ("Random initialisation", "resnet50", "birdsnap", "finetune-kornblith", "top1", {76.1}),
        ("BYOL", "resnet50", "voc2012", "segment-fcn", "miou", {75.7, 76.3}),
        ("RELICv2", "resnet50", "objectnet", "robust-sets", "top1", {25.9}),
        ("Supervised", "resnet50", "imagenet-r", "robust-sets", "top1", {24.0, 36.1}),
        ("RELIC", "resnet50", "imagenet-c", "robust-sets", "mce", {70.8}),
    ],
)
def test_numbers_copied_by_hand(method, network, task, protocol, metric, expected):
    assert set(values(method, task, protocol, metric, network)) == expected


def test_relicv2s_transfer_row_is_not_invented():
    transfer = [p for p in ROWS if p.protocol in ("linear-byol", "finetune-kornblith")]
    assert len(transfer) == 9 * 12
    assert not any("RELIC" in p.method for p in transfer)


def test_what_was_only_recalled_is_not_verified():
    assert {p.mark for p in ROWS if p.verified} == {"seen", "seen-2nd"}
    assert {p.mark for p in ROWS if not p.verified} <= set(MARKS) - {"seen", "seen-2nd"}
    assert set(published(verified=True)) == {p for p in ROWS if p.verified}
    by = {(p.method, p.network, p.task, p.metric, p.value): p for p in ROWS}
    assert not by[("RELICv2", "resnet50-2x", "imagenet", "top1", 79.0)].verified
    assert not by[("RELICv2", "resnet50", "imagenet", "top5", 93.3)].verified
    assert not by[("NNCLR", "resnet50", "sun397", "top1", 62.5)].verified
    assert by[("RELICv2", "resnet101", "imagenet", "top1", 78.7)].mark == "seen-2nd"
    assert not any(p.verified for p in ROWS if "JFT" in p.pretraining)


def test_where_sources_disagree_a_note_says_so():
    groups = {}
    for p in ROWS:
        groups.setdefault((p.method, p.network, p.pretraining, p.task, p.protocol, p.metric), []).append(p)
    for key, rows in groups.items():
        if len({p.value for p in rows}) > 1:
            assert any(p.note for p in rows), key


def test_sizes_of_test_sets_are_those_of_the_tables():
    sizes = {p.task: p.n for p in ROWS if p.protocol == "linear-byol"}
    assert sizes["pets"] == 3669
    assert sizes["caltech101"] == 6084
    assert {p.n for p in ROWS if p.task == "imagenet"} == {50_000}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("50.5", "fifty", "expected a number, received 'fifty'"),
        ("50.5", "nan", "expected a value in per cent"),
        ("50.5", "105", "expected a value in per cent"),
        ("true", "false", "expected verified = true"),
        ("seen", "heard", "expected a mark of"),
        ("top1", "top2", "expected a metric of"),
        ("a paper", "", "expected a source"),
        (",\n", "\n", "expected 13 cells, received 12"),
    ],
)
def test_a_damaged_row_is_named(old, new, what):
    text = ",".join(HEAD) + "\n" + LINE
    assert parse(text, "t.csv")[0].value == 50.5
    with pytest.raises(DataError, match=f"t.csv, line 2: {what}"):
        parse(text.replace(old, new) if old != ",\n" else text.replace(LINE, LINE[:-2] + "\n"), "t.csv")


def test_a_number_twice_is_refused():
    rows = parse(",".join(HEAD) + "\n" + LINE * 2, "t.csv")
    with pytest.raises(DataError, match="expected one row for m, resnet50"):
        refuse_twice(rows)


def test_the_tables_are_part_of_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["tool"]["setuptools"]["package-data"]["relic_eval.published"] == ["*.csv"]


def cell(encoder, task, n, right, protocol="linear-byol", metric="top1"):
    right_N = np.arange(n) < right
    table = {
        "item": np.arange(n).astype(str),
        "true": np.arange(n) % 2,
        "predicted": np.zeros(n, int),
        "correct": right_N.astype("f"),
        "score": np.zeros(n, "f"),
    }
    about = {"title": task, "data": {"train": "d", "test": "d"}, "task_settings": {"metric": metric, "dataset": task}}
    row = Measurement("top1", right / n, 0.0, 1.0, n)
    return Result(encoder, task, protocol, Cell((row,), table), about)


@pytest.fixture(scope="module")
def board():
    cells = [cell(e, "dtd", 1880, r) for e, r in (("mine", 1400), ("supervised", 1300))]
    cells += [cell("mine", "cifar10", 500, 400), cell("mine", "pets", 3669, 3000)]  # a part of the set; another metric
    return make_board(cells, draws=50)


def test_only_the_same_task_protocol_metric_and_images_stand_beside_ours(board):
    found = published_beside(board, {"resnet50"})
    assert [board.columns[number].task for number in found] == ["dtd"]
    (rows,) = found.values()
    assert sorted(p.value for p in rows) == [74.5, 74.9, 75.5, 75.5, 75.7]
    assert published_beside(board, {"vit-s/16"}) == {}
    assert (
        published_beside(make_board([cell("a", "dtd", 1880, 900, protocol="knn")], protocols=("knn",), draws=9)) == {}
    )


def test_a_figure_at_20_neighbours_stands_beside_ours_at_20_and_nowhere_else():
    methods = {}
    for protocol in ("knn-dino", "knn-dino-20"):
        cells = [cell("mine", "imagenet", 50000, 30000, protocol)]
        (rows,) = published_beside(make_board(cells, protocols=(protocol,), draws=9)).values()
        methods[protocol] = {p.method for p in rows}
    assert methods["knn-dino-20"] == {"DINO"}
    assert "RELICv2" in methods["knn-dino"]
    assert not any("20 neighbours" in p.note for p in ROWS if p.protocol == "knn-dino")


def test_published_numbers_are_shown_and_never_ranked(board):
    records = beside_records(board)
    ours = [r for r in records if not r["published"]]
    assert {(r["encoder"], round(r["value"], 2)) for r in ours} == {("mine", 74.47), ("supervised", 69.15)}
    assert all("rank" not in name for r in records for name in r)
    assert {r.encoder for r in board.rows} == {"mine", "supervised"}
    read = list(csv.DictReader(io.StringIO(beside_csv(board))))
    assert len(read) == 2 + 5
    text = beside_text(board)
    assert "74.5   mine" in text
    assert "75.5   BYOL, resnet50, ImageNet [BYOL (arXiv 2006.07733), Table 3]" in text
    assert "no rank" in text


def test_what_is_not_verified_stands_in_parentheses():
    board = make_board([cell("mine", "sun397", 19850, 9000)], draws=9)
    text = beside_text(board)
    assert "(62.5)   NNCLR" in text
    assert "not verified" in text


def test_larger_networks_have_a_row_each_and_mine_among_them():
    rows = larger_networks([Own("mine", 50.0, 76.54)])
    assert [r["network"] for r in rows[:5]] == ["resnet50", "resnet101", "mine", "resnet152", "resnet200"]
    by = {r["network"]: r for r in rows}
    assert by["resnet50-2x"]["RELICv2"] == "(79.0)"
    assert by["resnet50-2x"]["Supervised, RandAugment"] == "79.9"
    assert by["resnet152"]["Supervised"] == "79.1 / 78.3"
    assert by["resnet200-2x"] | {"SimCLR": ""} == by["resnet200-2x"]
    assert by["mine"]["yours"] == "76.5"
    assert "vit-s/16" not in by
    assert "yours" not in larger_text()
    assert len(list(csv.DictReader(io.StringIO(larger_csv())))) == len(rows) - 1


def test_models_of_ones_own_come_from_the_board_and_its_costs():
    cells = [cell(e, "imagenet", 1000, r, "linear-imagenet") for e, r in (("mine", 700), ("pixels", 10))]
    board = make_board(cells, protocols=("linear-imagenet",), draws=9)
    costs = {"mine": Cost(25_000_000, network="timm:resnet50"), "pixels": Cost()}
    assert own_models(board, costs) == (Own("mine", 25.0, 70.0),)
    assert networks_of(costs) == {"resnet50"}


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("torchvision:resnet50/IMAGENET1K_V1", "resnet50"),
        ("hub:facebookresearch/dino:main/dino_resnet50", "resnet50"),
        ("timm:resnet50,layer=layer3", "resnet50"),
        ("file:resnet200-2x", "resnet200-2x"),
        ("random:thin-resnet", ""),
        ("timm:resnetv2_50", ""),
        ("timm:resnet50d", ""),
        ("hf:facebook/dinov2-small", ""),
        ("torchvision:vit_b_16", "vit-b/16"),
        ("timm:vit_base_patch14_dinov2.lvd142m", "vit-b/14"),
        ("pixels", ""),
    ],
)
def test_networks_are_known_by_their_kind(kind, network):
    assert network_of(kind) == network


def test_the_figure_draws_every_number_and_what_is_not_verified_hollow(tmp_path):
    figure = scaling_figure([Own("mine", 3.0, 60.0)])
    strip, axes = figure.axes
    marks = [(line.get_xdata()[0], line.get_ydata()[0], line.get_markerfacecolor()) for line in axes.lines]
    hollow = {(x, y) for x, y, face in marks if face == "white"}
    assert {(94.0, 79.0), (375.0, 79.4), (28.0, 75.0), (304.0, 81.0)} <= hollow
    assert not hollow & {(250.0, 80.6), (24.0, 77.1)}
    points = {(x, y) for x, y, _ in marks}
    assert {(250.0, 80.6), (87.0, 81.3), (85.0, 80.1), (586.0, 78.5), (3.0, 60.0)} <= points
    names = {t.get_text() for t in (*strip.texts, *axes.texts)}
    assert {"77.1  RELICv2", "75.6  NNCLR", "EsViT", "mine"} <= names
    low, high = axes.get_xlim()
    assert low < 3
    assert high > 632
    first = [f.read_bytes() for f in save(figure, tmp_path / "a")]
    assert first == [f.read_bytes() for f in save(scaling_figure([Own("mine", 3.0, 60.0)]), tmp_path / "b")]


def test_names_in_the_figure_do_not_lie_over_each_other():
    figure = scaling_figure()
    figure.canvas.draw()
    for axes in figure.axes:
        boxes = [t.get_window_extent() for t in axes.texts if t.get_rotation() == 0 and t.get_text()]
        for i, one in enumerate(boxes):
            assert not any(one.shrunk(0.95, 0.8).overlaps(other.shrunk(0.95, 0.8)) for other in boxes[i + 1 :])
