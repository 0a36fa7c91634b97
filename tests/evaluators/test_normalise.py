"""What a probe does to embeddings before it is fitted, by the rows that it is fitted on and no others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler, normalize

from relic_eval.errors import UnknownNameError
from relic_eval.evaluators import shared
from relic_eval.evaluators.fewshot import FewShot
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.normalise import normaliser
from relic_eval.evaluators.ridge import Ridge
from relic_eval.evaluators.sgd import Sgd
from relic_eval.evaluators.shots import Shots
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.records import Embeddings


@pytest.fixture(autouse=True)
def nothing_remembered():
    shared._fitted.clear()


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    rows = Embeddings((x[:600] + 3).astype("f"), y[:600], tuple("abcdefghij"))
    return tuple(rows.take(np.arange(*ends)) for ends in ((0, 250), (250, 350), (350, 600)))


def test_standardise_is_scikit_learns_and_leaves_constant_columns(digits):
    train, _, test = digits
    mine = normaliser("standardise", train.x_ND)(test.x_ND)
    theirs = StandardScaler().fit(train.x_ND.astype(float)).transform(test.x_ND)
    np.testing.assert_allclose(mine, theirs, atol=1e-5)
    constant_D = train.x_ND.max(0) == train.x_ND.min(0)
    assert constant_D.any()
    np.testing.assert_allclose(mine[:, constant_D], test.x_ND[:, constant_D] - train.x_ND[0, constant_D], atol=1e-5)
    assert mine.dtype == np.float32


def test_constant_columns_far_from_zero_stay_small():
    x = np.full((1000, 2), 0.1, np.float32) * np.array([1e6, 1], np.float32)
    assert np.abs(normaliser("standardise", x)(x)).max() < 1e-2


def test_l2_is_scikit_learns(digits):
    rows = np.concatenate([digits[2].x_ND, np.zeros((1, 64), "f")])
    np.testing.assert_allclose(normaliser("l2", rows)(rows), normalize(rows), atol=1e-6)
    assert normaliser("l2", rows)(rows.astype(np.float16)).dtype == np.float32


def test_none_gives_the_rows_themselves(digits):
    assert normaliser("none", digits[0].x_ND)(digits[1].x_ND) is digits[1].x_ND


def test_unknown_names_are_refused(digits):
    with pytest.raises(UnknownNameError, match="l2"):
        Logistic(normalise="l3")(*digits)


@pytest.mark.parametrize(
    "probe",
    [Logistic(lowest=0.1, count=3), Ridge(count=5), Sgd(epochs=5), FewShot(draws=2), Shots(numbers=(2,), draws=(2,))],
)
@pytest.mark.parametrize("how", ["l2", "standardise"])
def test_a_probe_normalises_as_if_it_were_done_before(probe, how, digits):
    """Rows made ready outside give the same choice; standardise is by train in the choice and by both in the refit."""
    train = digits[0]
    cell = dataclasses.replace(probe, normalise=how)(*digits)
    assert cell.rows != probe(*digits).rows
    shared._fitted.clear()
    scale = normaliser(how, train.x_ND)
    ready = [dataclasses.replace(e, x_ND=scale(e.x_ND)) for e in digits]
    outside = probe(*ready)
    chosen = {"penalty", "learning_rate"} & set(cell.rows[-1].params)
    assert {k: cell.rows[-1].params[k] for k in chosen} == pytest.approx(
        {k: outside.rows[-1].params[k] for k in chosen}
    )
    if how == "l2" or isinstance(probe, FewShot | Shots):
        np.testing.assert_array_equal(cell.predictions["predicted"], outside.predictions["predicted"])


@pytest.mark.parametrize("how", ["none", "l2", "standardise"])
def test_the_refit_is_scikit_learns_on_rows_normalised_by_all_that_are_fitted(how, digits):
    train, valid, test = digits
    lowest = {"none": 300.0, "l2": 0.1, "standardise": 10.0}[how]  # where the minimum is sharp
    cell = Logistic(normalise=how, lowest=lowest, highest=10 * lowest, count=2, refit_tol=3e-6)(*digits)
    both_x = np.concatenate([train.x_ND, valid.x_ND]).astype(float)
    ready = {"none": lambda x: x, "l2": normalize, "standardise": StandardScaler().fit(both_x).transform}[how]
    model = LogisticRegression(C=1 / cell.rows[0].params["penalty"], tol=1e-8, max_iter=5_000)
    model.fit(ready(both_x), np.concatenate([train.y_N, valid.y_N]))
    p = model.predict_proba(ready(test.x_ND.astype(float)))
    np.testing.assert_allclose(cell.predictions["score"], p.max(1), atol=3e-3)
    assert (cell.predictions["predicted"] == p.argmax(1)).mean() > 0.99


def test_dinov2_is_the_grid_of_c_against_scikit_learn(digits):
    """C multiplies the summed loss: penalty = 1 / C, for each of several C and for the choice among all."""
    train, valid = digits[:2]
    probe = PROTOCOLS["linear-dinov2"]
    np.testing.assert_allclose(1 / np.array(probe.penalties())[::-1], 10.0 ** np.linspace(-6, 5, 45))
    cell = probe(*digits)
    here = cell.curves["name"] == "validation top1"
    for place in (24, 28, 36):  # C of 1e-1, 1e-2 and 1e-4
        penalty = cell.curves["x"][here][place]
        model = LogisticRegression(C=1 / penalty, tol=1e-7, max_iter=5_000).fit(train.x_ND.astype(float), train.y_N)
        score = (model.predict(valid.x_ND) == valid.y_N).mean()
        assert cell.curves["y"][here][place] == pytest.approx(score, abs=0.011)  # of 100 rows one may lie on the line
    params = cell.rows[0].params
    top1 = cell.curves["y"][here]
    assert params["penalty"] == cell.curves["x"][here][top1 == top1.max()].max()
    assert cell.rows[0].converged
