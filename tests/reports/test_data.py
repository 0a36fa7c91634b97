"""The data section: counts of the cells, leaks as they were found with their own pictures, and what was not searched."""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from relic_eval.data.duplicates import find_leaks
from relic_eval.data.leaks import leaks_path, read_leaks_at
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.run import evaluate
from reports.material import read_material
from reports.page import to_html
from reports.sections.origin.data import data_section, leak_key
from reports.write import report_key


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """A set of 2 x 12 pictures, two of its test pictures among the training ones, one under another label."""
    folder, rng = tmp_path_factory.mktemp("pictures") / "leaky", np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("ant", "bee"):
            (folder / split / name).mkdir(parents=True)
            for i in range(12):
                small = Image.fromarray(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8))
                small.resize((40, 40), Image.Resampling.BICUBIC).save(folder / split / name / f"{i}.png")
    shutil.copy(folder / "test" / "ant" / "3.png", folder / "train" / "ant" / "copy.png")
    shutil.copy(folder / "test" / "bee" / "5.png", folder / "train" / "ant" / "wrong.png")
    out = tmp_path_factory.mktemp("leaks")
    embed(find_encoder("pixels"), str(folder), out)
    evaluate(out, protocols=["linear-byol", "knn"])
    return folder, out


def test_what_was_not_searched_is_said_with_the_command(leaky):
    folder, out = leaky
    m = read_material(shutil.copytree(out, out.parent / "unsearched", dirs_exist_ok=True))
    content = data_section(m).content
    assert content["finding"] == "No search was made for pictures that are tested and trained on"
    assert content["commands"] == [f"relic-eval leaks PATH/TO/{folder.name} --out OUT"]
    (task,) = content["tasks"]
    assert (task["counts"]["train"] + task["counts"]["valid"], task["counts"]["test"], task["classes"]) == (26, 24, 2)
    assert task["sizes"] == "40 × 40"
    assert "<td>40 × 40</td>" in to_html(m)
    older = [copy.deepcopy(manifest) for manifest in m.stores["pixels"]]
    for manifest in older:
        del manifest["data"]["sizes"]  # stores of before they were noted
    mixed = dataclasses.replace(m, stores={**m.stores, "older": older})
    assert data_section(mixed).content["tasks"][0]["sizes"] == "40 × 40"
    assert "longer side" not in to_html(dataclasses.replace(m, stores={"pixels": older}))


def test_sizes_that_become_known_make_the_report_anew(leaky):
    _, out = leaky
    out = shutil.copytree(out, out.parent / "sized")
    (file,) = out.glob("embeddings/pixels/*/test.*/manifest.json")
    before, about = report_key(out, []), json.loads(file.read_text())
    del about["data"]["sizes"]
    file.write_text(json.dumps(about))
    assert report_key(out, []) != before


def test_leaks_are_told_with_their_share_and_both_pictures(leaky):
    folder, out = leaky
    before = report_key(out, [])
    find_leaks(str(folder), out)
    assert report_key(out, []) != before
    m = read_material(out)
    content = data_section(m).content
    record = read_leaks_at(leaks_path(out, folder.name))
    assert content["finding"].endswith("2 of 24 test pictures (8.3%) are trained on too")
    exact = next(line for line in content["leaks"] if line["kind"] == "the same picture")
    assert (exact["tested"], exact["n"], exact["low"], exact["high"]) == (2, 24, *record.share("exact")[1:])
    assert content["unsearched"] == ""
    assert {p["names"] for p in content["pairs"]} == {*zip(record.pairs["test"], record.pairs["train"], strict=True)}
    assert {p["classes"] for p in content["pairs"]} == {("ant", "ant"), ("bee", "ant")}
    sheet = Image.open(io.BytesIO(base64.b64decode(m.sheet.uri().split(",")[1]))).convert("L")
    for pair in content["pairs"]:
        for half, name, where in zip(("test", "train"), pair["names"], pair["views"], strict=True):
            x, y, side, _ = (int(v) for v in where.split())
            own = Image.open(io.BytesIO(record.thumbnails[f"{half} {name}"])).convert("L").resize((side, side))
            drawn = np.asarray(sheet.crop((x, y, x + side, y + side)), float)
            assert np.abs(drawn - np.asarray(own, float)).mean() < 12
    assert leak_key(record) not in {str(r.about["data"]["test"]) for r in m.results}
    assert "≠ ant" in to_html(m)


def test_a_search_in_other_pictures_is_no_search(leaky):
    folder, out = leaky
    find_leaks(str(folder), out)
    m = read_material(out)
    old = [dataclasses.replace(its, data={**its.data, "test": "older"}) for its in m.leaks]
    content = data_section(dataclasses.replace(m, leaks=old)).content
    assert content["finding"].startswith("No search was made")
    assert content["leaks"][0]["where"].endswith("other pictures than those of this page")
    assert content["unsearched"]


def test_the_key_of_a_report_knows_which_views_and_corruptions_are_in_use(tmp_path):
    keys = [report_key(tmp_path, [])]
    for name in ("views", "corruptions"):
        note = tmp_path / "embeddings" / "e" / "d" / f"{name}.json"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text('{"test.0": []}')
        keys.append(report_key(tmp_path, []))
    assert len(set(keys)) == 3
