"""The pretraining study: its arithmetic, its pictures, a run from pictures to a row, and that the page shows the committed rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks import pretraining
from benchmarks.study import arms, judge, table
from pretrain.config import METHODS, config_dict


@pytest.mark.parametrize("full", [False, True])
def test_arms_differ_from_the_whole_in_one_point(full):
    base = config_dict(arms.settings(arms.BASE, 0, full=full))
    for arm, (method, changes) in arms.ARMS.items():
        config = config_dict(arms.settings(arm, 0, full=full))
        if method == arms.BASE:
            assert {n for n in base if base[n] != config[n]} - {"monitor_every"} == set(changes), arm
        own = {"lr", "monitor_every", *changes, *({"epochs"} if "steps" in changes else {})}
        shared = (set(base) & set(config) & {*arms.COMMON, *(arms.FULL if full else {})}) - own
        assert {n for n in shared if base[n] != config[n]} == set(), arm
    assert {method for method, _ in arms.ARMS.values()} == set(METHODS)


def test_intervals_cover_what_they_say_where_methods_differ_in_spread():
    rng = np.random.default_rng(0)
    family = [arm for arm, (method, _) in arms.ARMS.items() if method == arms.BASE]
    covered: dict[str, list[bool]] = {"no masks": [], "byol": [], "relic": []}
    for _ in range(600):
        of = {arm: rng.normal(0, 1.0, 3) for arm in family}
        of |= {"byol": rng.normal(0, 8.0, 3), "relic": rng.normal(0, 0.3, 3)}
        found = table.means(of)
        assert found["no masks"].free == 2 * len(family)
        for arm, hits in covered.items():
            half = table.half_width(found[arm], found[arms.BASE])
            hits.append(abs(found[arm].value - found[arms.BASE].value) < half)
    for arm, hits in covered.items():
        assert 0.925 < np.mean(hits) < 0.985, arm


def test_a_shifted_picture_is_the_padded_one_moved():
    x = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    moved = judge.shifted(x, torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(x, (4, 4, 4, 4))
    places = set()
    for before, after in zip(padded, moved, strict=True):
        found = [(i, j) for i in range(9) for j in range(9) if torch.equal(before[:, i : i + 32, j : j + 32], after)]
        assert len(found) == 1
        places |= set(found)
    assert len(places) > 10


def test_pictures_that_train_choose_and_test_are_apart(data_folder, monkeypatch):
    monkeypatch.setenv("RELIC_EVAL_DATA", str(data_folder))
    judge.cifar.cache_clear()
    parts = {split: judge.cifar(split) for split in ("train", "valid", "test")}
    assert {split: len(x) for split, (x, _, _) in parts.items()} == {"train": 10_000, "valid": 2_000, "test": 10_000}
    seen = {split: {p.tobytes() for p in x} for split, (x, _, _) in parts.items()}
    assert len(seen["train"] & seen["valid"]) <= 2  # the set itself has a few doubles
    assert all(np.bincount(y).min() > 150 for _, y, _ in parts.values())


def test_a_run_goes_from_pictures_to_a_row(data_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RELIC_EVAL_DATA", str(data_folder))
    for name, count in (("TRAIN", 300), ("VALID", 100), ("TEST", 200)):
        monkeypatch.setattr(judge, name, count)
    judge.cifar.cache_clear()
    monkeypatch.setitem(arms.COMMON, "steps", 50)
    monkeypatch.setitem(arms.COMMON, "batch", 16)
    monkeypatch.setattr(pretraining, "ROWS", tmp_path / "rows.jsonl")
    monkeypatch.setattr(pretraining, "WORK", tmp_path / "work")
    for arm in ("random", "byol", "2+0 crops"):
        pretraining.one(arm, 0)
    judge.cifar.cache_clear()
    untrained, row, part = pretraining.rows()
    assert (part["arm"], part["settings"]["small"], part["curve"]) == ("2+0 crops", 0, [])
    assert (row["arm"], row["seed"]) == ("byol", 0)
    assert [point["step"] for point in row["curve"]] == [50]
    changed = {f"linear {name}" for name in judge.CHANGES}
    assert set(row["figures"]) == {
        *("linear", "knn", "distance ratio", "effective rank", "purity", "purity by chance", "cat or dog"),
        *changed,
    }
    assert 0.1 < row["figures"]["linear"]["value"] < 0.6
    assert untrained["figures"]["linear"] != row["figures"]["linear"]
    assert "BYOL" in table.table([untrained, row])


def test_the_page_shows_the_committed_rows():
    text = (pretraining.DOCS / "study.md").read_text()
    for full, (first, last) in pretraining.MARKS.items():
        inside = text.partition(first)[2].partition(last)[0].strip()
        assert inside == table.table(pretraining.rows(), full)
        assert inside.count("\n") > 5
    tried: dict[str, dict[float, float]] = {}
    for row in (r for r in pretraining.rows() if r.get("tuning")):
        both = row["figures"]["linear"]["value"] + row["figures"]["knn"]["value"]
        tried.setdefault(arms.ARMS[row["arm"]][0], {})[row["settings"]["lr"]] = both
    assert all(set(of) == set(arms.RATES) for of in tried.values())
    assert {method: max(of, key=of.__getitem__) for method, of in tried.items()} == arms.CHOSEN
    for row in (r for r in pretraining.rows() if not r.get("tuning")):
        settings = arms.settings(row["arm"], row["seed"], full=row.get("full", False))
        config = json.loads(json.dumps(config_dict(settings)))
        assert row["settings"] == {n: config[n] for n in row["settings"]}, row["arm"]
