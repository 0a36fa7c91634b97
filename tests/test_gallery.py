"""The gallery: what may be passed on, what is on its page, and that its text names every figure."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gallery import FIGURE_BYTES, PAGE_BYTES, make_gallery, only_bundled
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import DataError
from relic_eval.intake import import_arrays
from relic_eval.run import evaluate
from reports.figures.table import FIGURES
from reports.material import read_material

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    embed(find_encoder("pixels"), "digits", out)
    assert evaluate(out, protocols=["linear-byol", "blocks"]).failed == 0
    return out


@pytest.fixture
def mini_run(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1, 2], 40)
    for name in ("mine", "pixels"):
        x = np.eye(3)[y] + rng.normal(0, 0.5, (120, 3))
        import_arrays(tmp_path / "mini", name, "mini-birds", x, y)
    assert evaluate(tmp_path / "mini", protocols=["linear-byol"]).failed == 0
    return tmp_path / "mini"


def test_the_page_is_of_bundled_pictures_and_figures_of_the_other_run(digits_run, mini_run, tmp_path):
    made = make_gallery(digits_run, mini_run, tmp_path / "gallery")
    names = {f.name for f in made}
    assert {"index.html", "change.svg", "neighbour-blocks.svg", "scaling.svg"} <= names
    assert (tmp_path / "gallery" / "index.html").read_text().count("data:image/webp;base64,") == 1
    assert "mini-birds" in (tmp_path / "gallery" / "leaderboard.svg").read_text()
    assert "mini-birds" not in (tmp_path / "gallery" / "index.html").read_text()
    first = {f: f.read_bytes() for f in made}
    assert {f: f.read_bytes() for f in make_gallery(digits_run, mini_run, tmp_path / "gallery")} == first


def test_a_run_with_other_pictures_is_refused(digits_run, mini_run, tmp_path):
    with pytest.raises(
        DataError, match=r"expected stores of the bundled fashion and digits, received mini-birds of (mine|pixels)"
    ):
        make_gallery(mini_run, None, tmp_path / "gallery")
    assert not (tmp_path / "gallery").exists()
    material = read_material(digits_run)
    only_bundled(material)
    (manifests,) = material.stores.values()
    other = json.loads(json.dumps(manifests[0]))
    other["data"]["digest"] = "0" * 64  # a set of one's own that has the name of a bundled one
    material.stores["pixels"].append(other)
    with pytest.raises(DataError, match="received digits of pixels, whose pictures may not be passed on"):
        only_bundled(material)


def test_what_is_too_large_is_refused(digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.gallery.FIGURE_BYTES", 1000)
    with pytest.raises(DataError, match=r"expected at most 1,000 bytes of \S+\.svg, received"):
        make_gallery(digits_run, None, tmp_path / "gallery")
    assert not (tmp_path / "gallery").exists()


def test_the_text_has_a_part_a_figure_with_its_command():
    text = (DOCS / "gallery.md").read_text()
    parts = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert list(parts) == list(FIGURES)
    for name, part in parts.items():
        assert re.search(rf"`relic-eval figure {name} --out \S+.* -o \S+\.pdf`", part), name


def test_what_the_text_shows_is_there_and_small():
    text = (DOCS / "gallery.md").read_text()
    for place in re.findall(r"\]\(([^)#]+)\)", text):
        assert (DOCS / place).exists(), place
    assert (DOCS / "gallery" / "index.html").stat().st_size <= PAGE_BYTES
    assert all(f.stat().st_size <= FIGURE_BYTES for f in (DOCS / "gallery").glob("*.svg"))
