"""Learning from a share of the labels: which pictures, and that they alone are trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from relic_eval.data.pictures import from_array
from relic_eval.errors import ArgumentError, DataError
from relic_eval.tuning.lists import COUNTS, read_list
from relic_eval.tuning.semi import Semi, draw_share
from relic_eval.tuning.shots import Shots
from relic_eval.tuning.table import PROTOCOLS

SMALL = Semi(share=0.25, learning_rates=(0.05, 0.1), epochs=(4, 6))


def test_a_few_labels_are_learnt_and_the_others_are_never_seen(encoder, shots):
    cell = SMALL(encoder, *shots)
    assert cell.rows[0].value > 0.9
    params = cell.rows[0].params
    assert params["labelled"] == 18
    assert params["batch"] == 18
    assert params["steps"] in (4, 6)
    train, valid, test = shots
    few = draw_share(train, 0.25, 0)
    others = ~np.isin(train.rows, few.rows)
    poisoned = dataclasses.replace(train, y_N=np.where(others, (train.y_N + 1) % 3, train.y_N))
    # drawn from each class as it is labelled: the same pictures must be drawn for this to be a test
    assert not np.array_equal(draw_share(poisoned, 0.25, 0).rows, few.rows)
    alone = dataclasses.replace(SMALL, share=1.0)(encoder, few, valid, test)
    assert np.array_equal(alone.predictions["score"], cell.predictions["score"])


def test_shares_are_stratified_by_seed_with_at_least_one_a_class():
    y = np.repeat(np.arange(4), [1, 30, 149, 200])
    source = from_array("s", "train", np.zeros((len(y), 2, 2), np.uint8), y, tuple("abcd"), digest="d")
    whole = Shots(source, np.arange(len(y)), y, source.classes)
    assert np.bincount(draw_share(whole, 0.01, 0).y_N).tolist() == [1, 1, 1, 2]
    assert np.bincount(draw_share(whole, 0.1, 0).y_N).tolist() == [1, 3, 15, 20]
    assert np.array_equal(draw_share(whole, 0.1, 0).rows, draw_share(whole, 0.1, 0).rows)
    assert not np.array_equal(draw_share(whole, 0.1, 0).rows, draw_share(whole, 0.1, 1).rows)
    with pytest.raises(DataError, match="class 'a': expected a training picture"):
        draw_share(whole.take(np.arange(1, 10)), 0.1, 0)


@pytest.fixture(scope="module")
def imagenet():
    """As many pictures as the published list of one per cent names, and two hundred more, three of them validation."""
    count = COUNTS[0.01] + 200
    names = np.array([f"train/n{n % 1000:08d}/n{n % 1000:08d}_{n}.JPEG" for n in range(count)])
    y = np.arange(count) % 1000
    classes = tuple(f"n{n:08d}" for n in range(1000))
    source = from_array("imagenet", "train", np.zeros((count, 1, 1), np.uint8), y, classes, digest="d")
    source = dataclasses.replace(source, paths=names)
    valid = np.arange(count) < 300
    whole = Shots(source, np.arange(count), y, classes)
    return whole.take(~valid), whole.take(valid), [n.rsplit("/", 1)[1] for n in names[200:]]


def test_the_published_list_is_what_is_trained_on(imagenet):
    train, valid, names = imagenet
    few, choosing = Semi().labelled(train, valid, names)
    assert len(few) == 12_811
    assert sorted(few.rows.tolist()) == list(range(200, 13_011))
    assert choosing.rows.tolist() == list(range(200))  # a hundred validation rows are on the list


def test_another_count_is_an_error_that_names_both(imagenet, tmp_path):
    train, valid, names = imagenet
    file = tmp_path / "1percent.txt"
    file.write_text("\n".join(names) + "\n")
    assert list(read_list(file, 0.01)) == names
    file.write_text("\n".join(names[:-1]))
    with pytest.raises(DataError, match=r"1percent\.txt: expected the 12,811 names .* of 1%, received 12,810"):
        read_list(file, 0.01)
    with pytest.raises(DataError, match=r"expected the 128,116 names .* of 10%, received 12,811"):
        Semi(share=0.1).labelled(train, valid, names)
    with pytest.raises(DataError, match=r"expected the 12,811 names .* received 0"):
        Semi().labelled(train, valid)
    with pytest.raises(DataError, match="expected each name once, received 1"):
        Semi().labelled(train, valid, [*names[:-1], names[0]])
    with pytest.raises(DataError, match=r"expected all 12,811 pictures .* received 12,810: other\.JPEG"):
        Semi().labelled(train, valid, [*names[:-1], "other.JPEG"])
    with pytest.raises(ArgumentError, match=r"share: expected 0\.01 or 0\.1"):
        Semi(share=0.5).labelled(train, valid, names)


def test_the_protocols_are_those_of_the_paper():
    for name, share in (("semi-1pct", 0.01), ("semi-10pct", 0.1)):
        its = PROTOCOLS[name]
        assert (its.share, its.batch, its.epochs, its.momentum) == (share, 1024, (30, 50), 0.9)
        assert set(its.learning_rates) == {0.01, 0.02, 0.05, 0.1, 0.005}
        plan, batch = its._plan({"learning_rate": 0.1, "epochs": 50.0}, 12_811)
        assert (plan.steps, plan.decay, plan.nesterov, batch) == (50 * 12_811 // 1024, 0.0, True, 1024)
