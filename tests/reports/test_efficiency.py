"""Sample efficiency on the page and as a figure: of two short runs, and of rows made up."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil

import numpy as np
import pytest

from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.files import digest_file
from relic_eval.monitor import read_monitor
from relic_eval.run import evaluate
from relic_eval.training import train
from reports.figures.files import save
from reports.figures.sample_efficiency import mean_over_seeds, sample_efficiency_figure
from reports.sections.training.efficiency import efficiency_content, monitored
from reports.style import looks
from reports.write import write_report


def rows(values, every=10, images=64, crops=2, cost=1e9, **more):
    """Rows of a run whose linear probe has these accuracies, and whose neighbours have ten points fewer."""
    return [
        {
            "step": s,
            "images": s * images,
            "views": s * images * crops,
            "flops": s * images * cost,
            "linear": v,
            "knn": v - 0.1,
            "n": 50,
            **more,
        }
        for s, v in zip(range(every, every * (len(values) + 1), every), values, strict=True)
    ]


def manifests(**runs):
    """As stores have them; `None` stands for an encoder that was not trained here."""
    return {
        name: {"encoder": {"training": None if found is None else {"method": name, "history": {}, "monitor": found}}}
        for name, found in runs.items()
    }


SLOW = rows([0.4, 0.5, 0.6, 0.7], cost=1e9)
QUICK = rows([0.5, 0.62, 0.8, 0.9], cost=3e9)


def test_the_table_has_the_first_measurement_that_reaches_what_two_reach():
    section = efficiency_content(manifests(byol=SLOW, relicv2=QUICK, simclr=rows([0.3, 0.4]), pixels=None))
    table = section["table"]
    assert (table["value"], table["first"]) == ("70", "RELICv2")
    assert table["heads"] == ["Steps", "Images seen", "Views seen", "FLOPs, 10¹²"]
    cells = {row["title"]: row["cells"] for row in table["rows"]}
    assert cells["RELICv2"] == [("30", ""), ("1,920", ""), ("3,840", ""), ("5.76", "")]
    assert cells["BYOL"] == [("40", "×1.33"), ("2,560", "×1.33"), ("5,120", "×1.33"), ("2.56", "×0.44")]
    assert cells["SimCLR"] == []
    assert table["rows"][-1]["best"] == 0.4
    title = section["figure"].title
    assert "RELICv2 reaches 70% within 1,920 images seen, BYOL within 2,560 (1.3 times as many)" in title
    assert title.endswith("; in FLOPs BYOL needs the fewest")
    assert title.startswith("On training pictures held out from the linear probe")


def test_who_gets_there_with_as_many_images_is_named_together():
    title = efficiency_content(manifests(byol=SLOW, relicv2=rows([0.4, 0.5, 0.6, 0.7], cost=2e9)))["figure"].title
    assert title.endswith("BYOL and RELICv2 reach 70% within 2,560 images seen")
    assert efficiency_content(manifests(byol=SLOW))["figure"].title.endswith(
        "BYOL reaches 70% within 2,560 images seen"
    )


def test_a_value_that_is_given_is_taken():
    table = efficiency_content(manifests(byol=SLOW, relicv2=QUICK), 0.5)["table"]
    assert [row["cells"][0][0] for row in table["rows"]] == ["10", "20"]
    assert table["at_once"] == "RELICv2"
    assert efficiency_content(manifests(byol=SLOW), 0.95)["table"] is None


def test_what_was_measured_is_said():
    note = efficiency_content(manifests(byol=SLOW, supervised=rows([0.3], n=80)))["figure"].note
    assert "(n = 50 to 80), which the encoder has seen too, Supervised with their labels." in note
    assert "Measured every 10 steps. One run each: no intervals." in note
    assert "without labels" in efficiency_content(manifests(byol=SLOW))["figure"].note


def test_only_encoders_that_were_measured_are_shown_and_missing_numbers_are_passed_over():
    lost = {"step": 20, "images": 1280}
    partial = [{k: v for k, v in SLOW[0].items() if k != "flops"}, lost, {**SLOW[2], "knn": math.nan}]
    found = manifests(byol=partial, relicv2=[lost], supervised=[], pixels=None)
    assert list(monitored(found)) == ["byol"]
    assert efficiency_content(manifests(supervised=[], pixels=None)) is None
    section = efficiency_content(found)
    assert section["table"]["rows"][0]["cells"][0] == ("30", "")
    # points of the linear probe over steps, images and views, where both rows have them, and over FLOPs, where one has
    lines = [p.count("h0") for p in re.findall(r'class="dots"[^>]* d="([^"]+)"', section["figure"].drawing)]
    assert lines == [2, 2, 2, 1, 1, 1, 1]  # the last three are those of kNN, which has no FLOPs


def test_more_runs_than_can_be_told_apart_are_named_and_stay_in_table_and_data():
    values = [0.2, 0.4, 0.6]
    section = efficiency_content(manifests(**{f"run{i}": rows([v + i / 100 for v in values]) for i in range(20)}))
    assert (
        section["figure"].drawing.count('class="dots"') == 8 * 8  # steps, images, views and FLOPs, of both measures
    )  # steps, images, views and FLOPs, twice; kNN has the same
    assert "without run8, run9, run10 and 9 others" in section["figure"].note
    assert len(section["table"]["rows"]) == 20
    assert len(section["figure"].csv.splitlines()) == 1 + 20 * 3


def test_points_lie_where_the_numbers_say():
    """Over steps in the first panel: equal distances upwards for equal steps in accuracy, and to the right for equal ratios."""
    drawing = efficiency_content(manifests(byol=rows([0.2, 0.4, 0.6, 0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])))[
        "figure"
    ].drawing
    first = re.search(r'class="dots"[^>]* d="([^"]+)"', drawing).group(1)
    x, y = np.array([[float(v) for v in p.split()] for p in re.findall(r"M([\d. ]+)h0", first)]).T
    assert np.diff(y[:4]) == pytest.approx([y[1] - y[0]] * 3, abs=0.11)
    assert y[1] < y[0]
    assert x[1] - x[0] == pytest.approx(x[3] - x[1], abs=0.11)  # 10 to 20, and 20 to 40: the axis is logarithmic


def test_an_encoder_looks_as_it_does_elsewhere_on_the_page():
    """Two names that would both like one look: who is not measured keeps its own."""
    found = manifests(mine=SLOW, ab=None, ba=None, byol=QUICK)
    drawing = efficiency_content(found)["figure"].drawing
    assert all(f'stroke="{looks(found)[name].colour}"' in drawing for name in ("mine", "byol"))


def test_numbers_are_in_the_data_as_they_are():
    text = efficiency_content(manifests(byol=SLOW, relicv2=QUICK[:1]))["figure"].csv
    read = list(csv.DictReader(io.StringIO(text)))
    assert [(r["encoder"], int(r["step"]), float(r["linear"])) for r in read] == [
        ("byol", 10, 0.4), ("byol", 20, 0.5), ("byol", 30, 0.6), ("byol", 40, 0.7), ("relicv2", 10, 0.5)
    ]  # fmt: skip
    assert float(read[3]["flops"]) == SLOW[3]["flops"]


def test_a_figure_of_several_seeds_has_their_mean_where_all_have_a_row(tmp_path):
    seeds = [rows([0.2, 0.4, 0.6]), rows([0.4, 0.6, 0.8, 0.9]), rows([0.3, 0.5, 0.7])]
    assert mean_over_seeds(seeds, "linear", "step") == [
        (s, pytest.approx(v)) for s, v in ((10, 0.3), (20, 0.5), (30, 0.7))
    ]
    assert mean_over_seeds([seeds[0], rows([0.5], every=7)], "linear", "step") == []
    figure = sample_efficiency_figure({"byol": seeds, "relicv2": QUICK}, level=0.6)
    assert len(figure.axes) == 8
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() == 1.6]
    thin = [line for line in figure.axes[0].lines if line.get_linewidth() == 0.6]
    assert [list(line.get_ydata()) for line in thin] == [[100 * r["linear"] for r in seed] for seed in seeds]
    assert [list(line.get_ydata()) for line in thick] == [
        pytest.approx([30, 50, 70]),
        [100 * r["linear"] for r in QUICK],
    ]
    assert figure.axes[7].get_xlabel() == "FLOPs, 10¹²"
    assert "thick: their mean" in figure.get_suptitle()
    assert "thick" not in sample_efficiency_figure({"byol": SLOW}).get_suptitle()
    again = sample_efficiency_figure({"byol": seeds, "relicv2": QUICK}, level=0.6)
    files = [[digest_file(f) for f in save(made, tmp_path / name)] for made, name in ((figure, "a"), (again, "b"))]
    assert files[0] == files[1]


def test_a_figure_of_what_has_no_flops_leaves_them_out():
    own = [{"step": s, "images": s * 8, "knn": v, "linear": math.nan} for s, v in ((0, 0.1), (5, 0.4), (50, 0.5))]
    figure = sample_efficiency_figure({"mine": [own, []]})
    assert [axes.get_xlabel() for axes in figure.axes] == ["steps", "images seen"]
    assert figure.axes[0].get_xscale() == "linear"  # step 0 has no place on a logarithmic axis
    assert figure.axes[0].get_ylabel() == "nearest neighbours, %"


@pytest.fixture(scope="module")
def monitored_page(digits_folder, tmp_path_factory):
    """Two short runs on the digits, measured every fourth step, and pixels, which were never trained."""
    out = tmp_path_factory.mktemp("monitored")
    for name, steps in (("byol", 12), ("supervised", 8)):
        changes = {"steps": f"{steps}", "batch": "16", "side": "12", "monitor_every": "4", "monitor_rows": "80"}
        train(name, str(digits_folder), out, name=name, changes=changes, device="cpu")
        embed(find_encoder(str(out / "pretrain" / name)), str(digits_folder), out)
    embed(find_encoder("pixels"), str(digits_folder), out)
    assert evaluate(out, protocols=["knn"]).failed == 0
    return write_report(out)


def test_the_page_has_the_rows_of_the_runs_without_their_folders(monitored_page, visit):
    out = monitored_page.parents[1]
    rows = {name: read_monitor(out / "pretrain" / name / "monitor.csv") for name in ("byol", "supervised")}
    assert [len(r) for r in rows.values()] == [3, 2]
    shutil.move(out / "pretrain", out / "gone")
    (monitored_page.parent / "report.json").unlink()
    write_report(out)
    shutil.move(out / "gone", out / "pretrain")
    page, faults = visit(monitored_page, accept_downloads=True)
    with page.expect_download() as waiting:
        page.locator("#efficiency .tools button", has_text="CSV").click()
    found = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
    for name, its in rows.items():
        mine = [r for r in found if r["encoder"] == name]
        for column in ("step", "images", "views", "flops", "loss", "knn", "linear", "n"):
            assert [float(r[column]) for r in mine] == [row[column] for row in its]
    level = max(
        k for k in range(0, 101, 5) if all(any(row["linear"] >= k / 100 for row in its) for its in rows.values())
    )
    assert page.locator("#efficiency caption").inner_text().endswith(f"right on at least {level}%")
    table = page.locator("#efficiency tbody tr").all_inner_texts()
    assert {line.split("\t")[0].strip() for line in table} == {"BYOL", "Supervised"}
    for name, its in rows.items():
        first = next(row for row in its if row["linear"] >= level / 100)
        line = next(t for t in table if looks(rows)[name].title in t)
        assert re.split(r"[\t\n]+", line)[1] == f"{first['step']}"
        assert f"{first['images']:,}" in line
    assert faults == []
    assert (monitored_page.parent / "figures" / "sample-efficiency.svg").exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_never_scrolls_sideways_and_the_figure_does_within_itself(monitored_page, visit, width, scheme):
    page, faults = visit(monitored_page, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = "document.querySelector('#efficiency .scroll')"
    assert page.evaluate(f"{box}.scrollWidth > {box}.clientWidth") == (width == 400)
    drawn = page.locator("#efficiency svg.broad").bounding_box()
    assert drawn["width"] >= 860  # text stays readable
    assert faults == []


def test_print_shows_the_whole_figure(monitored_page, visit):
    page, _ = visit(monitored_page, width=688, scheme="dark")
    page.emulate_media(media="print")
    drawn = page.locator("#efficiency svg.broad").bounding_box()
    assert drawn["x"] + drawn["width"] <= 689
    assert page.evaluate("getComputedStyle(document.querySelector('#efficiency .ring')).stroke") == "rgb(26, 26, 26)"


def test_names_stand_apart_and_within_the_drawing(monitored_page, visit):
    page, _ = visit(monitored_page)
    drawn = page.locator("#efficiency svg.broad").bounding_box()
    names = [page.locator("#efficiency svg.broad text", has_text=t).all() for t in ("BYOL", "Supervised")]
    boxes = [[text.bounding_box() for text in texts] for texts in names]
    assert [len(b) for b in boxes] == [2, 2]  # a row each
    for one, other in zip(*boxes, strict=True):
        assert one["x"] + one["width"] <= drawn["x"] + drawn["width"]
        assert abs(one["y"] - other["y"]) >= 13


def test_a_page_without_a_measured_run_has_no_such_figure(digits_page):
    assert 'id="efficiency"' not in digits_page.read_text()
    assert not (digits_page.parent / "figures" / "sample-efficiency.svg").exists()
