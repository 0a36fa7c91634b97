"""The linear probes beside logistic regression: SGD as published, and ridge in closed form."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from relic_eval.errors import ArgumentError
from relic_eval.evaluators import shared
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.ridge import Ridge
from relic_eval.evaluators.sgd import Sgd
from relic_eval.metrics.scores import classes_before, mean_per_class
from relic_eval.metrics.statistics import wilson
from relic_eval.records import Embeddings

BOTH = pytest.mark.parametrize("probe", [Sgd(epochs=30), Ridge()], ids=["sgd", "ridge"])


@pytest.fixture(autouse=True)
def nothing_remembered():
    shared._fitted.clear()


@pytest.fixture(scope="module")
def digits():
    """Train, validation and test rows of scikit-learn's digits: 300, 100 and 300."""
    x, y = load_digits(return_X_y=True)
    names, ids = tuple("abcdefghij"), np.arange(700).astype(str)
    rows = Embeddings((x[:700] / 16).astype("f"), y[:700], names, ids=ids)
    return tuple(rows.take(np.arange(*ends)) for ends in ((0, 300), (300, 400), (400, 700)))


@BOTH
def test_a_cell_says_what_its_predictions_say(probe, digits):
    test = digits[2]
    cell = probe(*digits)
    rows, table = {r.metric: r for r in cell.rows}, cell.predictions
    right_N = table["predicted"] == test.y_N
    assert rows["top1"].value == pytest.approx(right_N.mean())
    assert rows["top1"].value > 0.75
    assert (rows["top1"].low, rows["top1"].high) == pytest.approx(wilson(right_N.sum(), 300))
    assert rows["mean_per_class"].value == pytest.approx(mean_per_class(test.y_N, table["predicted"]))
    assert {r.n for r in cell.rows} == {300}
    np.testing.assert_array_equal(table["correct"], right_N.astype("f"))
    np.testing.assert_array_equal(table["item"], test.ids)
    assert {len(v) for v in table.values()} == {300}
    assert {len(v) for v in cell.curves.values()} == {len(cell.curves["x"])}


@BOTH
def test_test_labels_choose_nothing(probe, digits):
    train, valid, test = digits
    rng = np.random.default_rng(0)
    clean = probe(*digits)
    shared._fitted.clear()
    dirty = probe(train, valid, dataclasses.replace(test, y_N=rng.permutation(test.y_N)))
    assert dirty.rows[0].params == clean.rows[0].params
    assert dirty.rows[0].value < 0.5 < clean.rows[0].value
    np.testing.assert_array_equal(dirty.predictions["predicted"], clean.predictions["predicted"])
    np.testing.assert_array_equal(dirty.curves["y"], clean.curves["y"])
    other = probe(train, dataclasses.replace(valid, y_N=rng.permutation(valid.y_N)), test)
    assert not np.array_equal(other.curves["y"], clean.curves["y"])


@BOTH
def test_a_fit_is_remembered_by_content_and_settings(probe, digits, monkeypatch):
    train, valid, test = digits
    fits, real = [], type(probe)._fit
    monkeypatch.setattr(type(probe), "_fit", lambda self, *a: (fits.append(1), real(self, *a))[1])
    first = probe(train, valid, test)
    again = probe(train, valid, test.take(np.arange(50)))
    assert len(fits) == 1
    np.testing.assert_array_equal(again.predictions["predicted"], first.predictions["predicted"][:50])
    probe(dataclasses.replace(train, x_ND=train.x_ND * 2), valid, test)
    assert len(fits) == 2
    fewer = {"epochs": 2} if isinstance(probe, Sgd) else {"count": 3}
    dataclasses.replace(probe, **fewer)(train, valid, test)
    assert len(fits) == 3
    probe(train, valid, test)  # of three only the last two are kept
    assert len(fits) == 4


@BOTH
def test_empty_splits_and_one_class_are_refused(probe, digits):
    train, valid, test = digits
    nothing = test.take(np.arange(0))
    for rows in ((nothing, valid, test), (train, nothing, test), (train, valid, nothing)):
        with pytest.raises(ArgumentError, match=r"at least one row|at least two classes"):
            probe(*rows)
    with pytest.raises(ArgumentError, match="at least two classes"):
        probe(dataclasses.replace(train, y_N=np.zeros_like(train.y_N)), valid, test)


def test_sgd_is_torchs_with_the_published_settings(digits):
    train, valid, test = digits
    probe = Sgd(learning_rates=(0.3, 0.1), batch=64, epochs=6)
    cell = probe(*digits)
    both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
    base, steps = cell.rows[0].params["learning_rate"], 6 * 400 // 64
    assert (cell.rows[0].params["steps"], cell.rows[0].params["batch"]) == (steps, 64)
    layer = torch.nn.Linear(64, 10)
    torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
    optimiser = torch.optim.SGD(layer.parameters(), lr=base * 64 / 256, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng, losses = np.random.default_rng(0), []
    order = np.concatenate([rng.permutation(400) for _ in range(6)])
    for step in range(steps):
        rows = order[step * 64 : (step + 1) * 64]
        loss = torch.nn.functional.cross_entropy(layer(torch.tensor(both_x[rows])), torch.tensor(both_y[rows]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    score_NC = layer(torch.tensor(test.x_ND)).softmax(1).detach().numpy()
    np.testing.assert_array_equal(cell.predictions["predicted"], score_NC.argmax(1))
    np.testing.assert_allclose(cell.predictions["score"], score_NC.max(1), rtol=1e-4)
    loss = cell.curves["name"] == "loss"
    np.testing.assert_allclose(cell.curves["y"][loss], [p.mean() for p in np.array_split(losses, 6)], rtol=1e-4)
    np.testing.assert_array_equal(cell.curves["x"][loss], np.arange(1, 7))
    top5 = (np.argsort(-score_NC, 1, kind="stable")[:, :5] == test.y_N[:, None]).any(1).mean()
    assert {r.metric: r.value for r in cell.rows}["top5"] == pytest.approx(top5)


def test_sgd_takes_the_smallest_of_the_best_learning_rates(digits):
    cell = Sgd(epochs=20)(*digits)
    here = cell.curves["name"] == "validation top1"
    rate_L, top1_L = cell.curves["x"][here], cell.curves["y"][here]
    params = cell.rows[0].params
    assert params["learning_rate"] == rate_L[top1_L == top1_L.max()].min()
    assert params["edge"] == int(params["learning_rate"] in (0.4, 0.05))
    assert params["batch"] == 400  # fewer rows than 1024: all of them are one batch
    assert cell.rows[0].converged is None


def test_a_learning_rate_that_diverges_is_not_chosen(digits):
    cell = Sgd(learning_rates=(1e38, 0.3), epochs=3)(*digits)
    assert cell.rows[0].params["diverged"] == 1
    assert cell.rows[0].params["learning_rate"] == 0.3
    assert np.isfinite(cell.curves["y"]).all()
    with pytest.raises(ArgumentError, match="a learning rate stays finite"):
        Sgd(learning_rates=(1e38,), epochs=3)(*digits)


def test_few_classes_have_no_top5(digits):
    four = [e.take(e.y_N < 4) for e in digits]
    cell = Sgd(epochs=3)(*(dataclasses.replace(e, classes=tuple("abcd")) for e in four))
    assert [r.metric for r in cell.rows] == ["top1", "mean_per_class"]


def test_ties_in_top5_go_to_the_first_class():
    score_NC = np.zeros((3, 7))
    assert (classes_before(np.array([0, 4, 5]), score_NC) < 5).tolist() == [True, True, False]


def test_ridge_is_scikit_learns_with_the_chosen_penalty(digits):
    train, valid, test = digits
    cell = Ridge()(*digits)
    both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
    model = RidgeClassifier(alpha=cell.rows[0].params["penalty"], solver="svd").fit(both_x.astype(float), both_y)
    np.testing.assert_array_equal(cell.predictions["predicted"], model.predict(test.x_ND.astype(float)))
    # scikit-learn's targets are -1 and 1
    expected = (model.decision_function(test.x_ND.astype(float)).max(1) + 1) / 2
    np.testing.assert_allclose(cell.predictions["score"], expected, rtol=1e-5)
    top1 = cell.curves["y"]
    for place in (0, 20, 36):
        fit = RidgeClassifier(alpha=cell.curves["x"][place], solver="svd").fit(train.x_ND.astype(float), train.y_N)
        assert top1[place] == (fit.predict(valid.x_ND.astype(float)) == valid.y_N).mean()
    assert cell.rows[0].params["penalty"] == cell.curves["x"][top1 == top1.max()].max()
    assert cell.rows[0].converged is True


def test_ridge_does_not_mind_the_scale_of_the_features(digits):
    cell = Ridge()(*digits)
    scaled = Ridge()(*(dataclasses.replace(e, x_ND=e.x_ND * np.float32(64)) for e in digits))
    np.testing.assert_array_equal(scaled.predictions["predicted"], cell.predictions["predicted"])
    assert scaled.rows[0].params["penalty"] == pytest.approx(cell.rows[0].params["penalty"] * 64**2)
    assert scaled.rows[0].params["edge"] == cell.rows[0].params["edge"]


@pytest.mark.parametrize(
    "probe",
    [Sgd(learning_rates=(0.3,), epochs=3), Ridge(lowest=1.0, highest=1.0, count=1), Logistic(1.0, 1.0, count=1)],
    ids=["sgd", "ridge", "logistic"],
)
def test_a_choice_of_one_has_no_edge(probe, digits):
    assert probe(*digits).rows[0].params["edge"] == 0


@pytest.mark.parametrize("probe", [Ridge(1e2, 1e4, 5), Logistic(1e3, 1e5, 5)], ids=["ridge", "logistic"])
def test_the_edge_of_a_grid_is_said(probe, digits):
    cell = probe(*digits)
    assert cell.rows[0].params["edge"] == 1
    assert cell.rows[0].params["penalty"] == pytest.approx(cell.curves["x"].min())
