"""The published SGD protocol against torch.optim.SGD with its own cosine schedule, step by step, and by hand."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from relic_eval.errors import ArgumentError
from relic_eval.probes.linear import predict, rows_of, scores
from relic_eval.probes.sgd import batches_of, fit_sgd, step_count

RATES = (1.0, 0.3, 0.05)


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:600] / 16, y[:600]


def torch_sgd(batches, classes, dims, rate, steps, momentum, begin=None):
    """The same problem with torch's layer, loss, optimiser and schedule: weights, intercepts and losses of every step."""
    dtype = torch.from_numpy(batches[0][0]).dtype
    layer = torch.nn.Linear(dims, classes, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.zeros(classes, dims) if begin is None else torch.from_numpy(begin.T.copy()))
        layer.bias.zero_()
    optimiser = torch.optim.SGD(layer.parameters(), lr=rate, momentum=momentum, nesterov=momentum > 0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
    trail = []
    for x, y in batches[:steps]:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimiser.step()
        schedule.step()
        trail.append((layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy(), loss.item()))
    return trail


@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-6), ("float32", 1e-4)])
@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_every_step_is_torchs(digits, dtype, close, momentum):
    x, y = digits[0].astype(dtype), digits[1]
    batches = list(batches_of(x, y, 100, 4, seed=3))
    steps = len(batches)
    trails = [torch_sgd(batches, 10, 64, rate, steps, momentum) for rate in RATES]
    fit = fit_sgd(iter(batches), 10, 64, RATES, steps, momentum=momentum)
    assert fit.weights_LDC.dtype == dtype
    for place, trail in enumerate(trails):
        np.testing.assert_allclose(fit.weights_LDC[place], trail[-1][0], rtol=close, atol=close)
        np.testing.assert_allclose(fit.bias_LC[place], trail[-1][1], rtol=close, atol=close)
        np.testing.assert_allclose(fit.loss_LT[place], [loss for _, _, loss in trail], rtol=close)
    assert not fit.diverged_L.any()


def test_the_first_steps_are_torchs_weights_too(digits):
    batches = list(batches_of(*digits, 200, 2))
    trail = torch_sgd(batches, 10, 64, 0.5, 2, 0.9)
    two = fit_sgd(batches, 10, 64, [0.5], 2)
    np.testing.assert_allclose(two.weights_LDC[0], trail[1][0], rtol=1e-6, atol=1e-9)
    one = fit_sgd(batches, 10, 64, [0.5], 1)  # cosine of one step: the whole learning rate
    np.testing.assert_allclose(one.weights_LDC[0], trail[0][0], rtol=1e-6, atol=1e-9)


def test_two_steps_by_hand():
    # one column, x = -1 and 1; the classes are mirror images: w = (-a, a), no intercept, loss ln(1 + exp(-2a))
    batches = [(np.array([[-1.0], [1.0]]), np.array([0, 1]))] * 2
    fit = fit_sgd(batches, 2, 1, [0.8], 2, momentum=0.5)
    g0 = 1 / 2  # at a = 0 the gradient of a column is the share that is missing from the right class, 1 / 2
    v1 = g0
    a1 = 0.8 * (g0 + 0.5 * v1)
    g1 = 1 / (1 + math.exp(2 * a1))
    v2 = 0.5 * v1 + g1
    a2 = a1 + 0.4 * (g1 + 0.5 * v2)  # half way of the cosine: half the learning rate
    np.testing.assert_allclose(fit.weights_LDC[0, 0], [-a2, a2], rtol=1e-12)
    np.testing.assert_allclose(fit.bias_LC[0], [0, 0], atol=1e-15)
    np.testing.assert_allclose(fit.loss_LT[0], [math.log(2), math.log(1 + math.exp(-2 * a1))], rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    dims=st.integers(1, 5),
    classes=st.integers(2, 4),
    sizes=st.lists(st.integers(2, 6), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_batches_of_any_sizes(dims, classes, sizes, seed):
    rng = np.random.default_rng(seed)
    batches = [(rng.normal(size=(n, dims)), np.r_[0, 1, rng.integers(0, classes, n - 2)]) for n in sizes]
    batches[0] = (np.repeat(batches[0][0][:1], sizes[0], 0), batches[0][1])  # duplicated rows
    fit = fit_sgd(batches, classes, dims, RATES, len(sizes))
    for place, rate in enumerate(RATES):
        trail = torch_sgd(batches, classes, dims, rate, len(sizes), 0.9)
        np.testing.assert_allclose(fit.weights_LDC[place], trail[-1][0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(fit.loss_LT[place, -1], trail[-1][2], rtol=1e-6)


def test_learning_rates_do_not_touch_each_other(digits):
    batches = list(batches_of(*digits, 100, 2))
    together = fit_sgd(batches, 10, 64, RATES, 12)
    for place, rate in enumerate(RATES):
        alone = fit_sgd(batches, 10, 64, [rate], 12)
        np.testing.assert_allclose(together.weights_LDC[place], alone.weights_LDC[0], rtol=1e-9, atol=1e-12)
    mixed = fit_sgd(batches, 10, 64, RATES[::-1], 12)
    np.testing.assert_allclose(mixed.weights_LDC, together.weights_LDC[::-1], rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_one_that_diverges_costs_only_itself(digits):
    x, y = digits[0].astype("f") * 1e3, digits[1]
    batches = list(batches_of(x, y, 100, 2))
    fit = fit_sgd(batches, 10, 64, [1e37, 1e-6, 1e-7], 12)
    assert fit.diverged_L.tolist() == [True, False, False]
    sound = fit_sgd(batches, 10, 64, [1e-6, 1e-7], 12)
    np.testing.assert_allclose(fit.weights_LDC[1:], sound.weights_LDC, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(fit.loss_LT[1:], sound.loss_LT, rtol=1e-5)
    assert np.isfinite(fit.loss_LT[1:]).all()


def test_a_long_run_comes_to_the_minimum_of_a_problem_that_has_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] - x[:, 1] + 2 * rng.normal(size=300) > 0.5).astype(int)  # no plane separates these
    fit = fit_sgd(batches_of(x, y, 300, 400), 2, 4, [1.0, 0.3], 400)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(x, y)
    for weights_DC, bias_C in zip(fit.weights_LDC, fit.bias_LC, strict=True):
        np.testing.assert_allclose(weights_DC[:, 1] - weights_DC[:, 0], model.coef_[0], rtol=1e-3, atol=1e-4)
        assert bias_C[1] - bias_C[0] == pytest.approx(model.intercept_[0], rel=1e-3, abs=1e-4)


def test_a_seed_begins_as_the_official_code_does(digits):
    batches = list(batches_of(digits[0].astype("f"), digits[1], 100, 1))
    tiny = [1e-30, 2e-30]  # steps that do not move a weight: what is left is the start
    fit = fit_sgd(batches, 10, 64, tiny, 2, seed=5)
    w_DC = fit.weights_LDC[0]
    np.testing.assert_array_equal(w_DC, fit.weights_LDC[1])
    assert np.abs(w_DC).max() <= 2 / 8
    assert 0.8 < w_DC.std() * 8 < 0.95  # a normal cut at two deviations has 0.88 of its deviation
    assert np.abs(fit.bias_LC).max() < 1e-20
    assert (fit_sgd(batches, 10, 64, tiny, 2, seed=6).weights_LDC[0] != w_DC).any()
    np.testing.assert_array_equal(fit_sgd(batches, 10, 64, tiny, 2, seed=5).weights_LDC[0], w_DC)
    trail = torch_sgd(batches, 10, 64, 0.3, 6, 0.9, begin=w_DC)
    moved = fit_sgd(batches, 10, 64, [0.3], 6, seed=5)
    np.testing.assert_allclose(moved.weights_LDC[0], trail[-1][0], rtol=1e-4, atol=1e-5)


def test_the_first_loss_from_zero_is_that_of_guessing(digits):
    fit = fit_sgd(batches_of(*digits, 60, 1), 10, 64, RATES, 3)
    np.testing.assert_allclose(fit.loss_LT[:, 0], np.log(10), rtol=1e-12)


def test_tensors_of_a_caller_are_batches(digits):
    x, y = digits
    batches = list(batches_of(x, y, 100, 1))
    expected = fit_sgd(batches, 10, 64, RATES, 6)
    wanting = [(torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)) for x, y in batches]
    np.testing.assert_array_equal(fit_sgd(wanting, 10, 64, RATES, 6).weights_LDC, expected.weights_LDC)
    half = fit_sgd([(torch.from_numpy(x).bfloat16(), y) for x, y in batches], 10, 64, RATES, 6)
    np.testing.assert_allclose(half.weights_LDC, expected.weights_LDC, atol=0.02)


@pytest.mark.parametrize("form", ["f2", "u1", "i2", ">f4", ">f8", "fortran"])
def test_other_forms_of_the_same_numbers(digits, form):
    x, y = np.round(digits[0] * 16).astype("f"), digits[1]
    given = np.asfortranarray(x) if form == "fortran" else x.astype(form)
    rates = (1e-3, 1e-4)  # larger ones overshoot on pixels from 0 to 16, and blow rounding up
    fit = fit_sgd(inspect.unwrap(batches_of)(given, y.astype("i4"), 100, 2), 10, 64, rates, 12)
    expected = fit_sgd(batches_of(x, y, 100, 2), 10, 64, rates, 12)
    np.testing.assert_allclose(fit.weights_LDC, expected.weights_LDC, rtol=1e-4, atol=1e-7)


def test_batches_are_whole_passes_without_a_gap():
    x, y = np.arange(10.0)[:, None], np.arange(10) % 2
    batches = list(batches_of(x, y, 4, 3, seed=1))
    assert len(batches) == step_count(10, 4, 3) == 7
    drawn = np.concatenate([b[0][:, 0] for b in batches]).astype(int)
    assert np.bincount(drawn[:20], minlength=10).sum() == 20
    # each pass is all rows; batches 0, 1 and half of 2 are the first pass
    assert np.bincount(drawn, minlength=10).tolist().count(3) == 8
    assert set(np.bincount(drawn, minlength=10)) == {2, 3}  # 28 of 30: two rows were left out of the last pass
    for rows, names in batches:
        np.testing.assert_array_equal(names, rows[:, 0] % 2)
        assert (np.diff(rows[:, 0]) >= 0).all()
    again = list(batches_of(x, y, 4, 3, seed=1))
    assert all((a[0] == b[0]).all() for a, b in zip(batches, again, strict=True))
    other = list(batches_of(x, y, 4, 3, seed=2))
    assert any((a[0] != b[0]).any() for a, b in zip(batches, other, strict=True))


def test_a_memory_map_is_read_a_batch_at_a_time(tmp_path, digits):
    x, y = digits[0].astype("f2"), digits[1]
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert rows_of("x", mapped).dtype == np.float16  # no copy in another type
    assert np.shares_memory(rows_of("x", mapped), mapped)
    first, _ = next(batches_of(mapped, y, 50, 1))
    assert first.dtype == np.float16
    assert not np.shares_memory(first, mapped)
    fit = fit_sgd(batches_of(mapped, y, 50, 1), 10, 64, RATES, 12)
    expected = fit_sgd(batches_of(x, y, 50, 1), 10, 64, RATES, 12)
    np.testing.assert_array_equal(fit.weights_LDC, expected.weights_LDC)


def test_read_only_batches_are_neither_written_to_nor_warned_of(digits):
    torch.set_warn_always(True)
    try:
        batches = [(x.copy(), y.copy()) for x, y in batches_of(*digits, 100, 1)]
        for x, y in batches:
            x.flags.writeable = y.flags.writeable = False
        kept = batches[0][0].copy()
        fit_sgd(batches, 10, 64, RATES, 6)
        np.testing.assert_array_equal(batches[0][0], kept)
    finally:
        torch.set_warn_always(False)


GOOD = [(np.ones((2, 3), "f"), np.array([0, 1]))] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batches": GOOD[:2]}, "batches: expected 3 of them, received 2"),
        ({"batches": []}, "expected 3 of them, received 0"),
        ({"batches": [(np.ones((2, 4), "f"), np.array([0, 1]))] * 3}, "rows of 3 columns"),
        ({"batches": [(np.ones(3, "f"), np.array([0, 1]))] * 3}, "rows of 3 columns"),
        ({"batches": [(np.ones((0, 3), "f"), np.zeros(0, int))] * 3}, "rows of 3 columns"),
        ({"batches": [(np.ones((2, 3), "f"), np.array([0, 1, 1]))] * 3}, "2 labels, one a row"),
        ({"batches": [(np.ones((2, 3), "f"), np.array([0, 2]))] * 3}, "class numbers below 2, received 2 in batch 0"),
        ({"batches": [(np.ones((2, 3), "f"), np.array([0, -1]))] * 3}, "class numbers from 0 on"),
        ({"batches": [(np.ones((2, 3), "f"), np.array([0, 0]))] * 3}, "at least two classes"),
        ({"batches": [(np.array([[1, 2, np.nan], [1, 2, 3]]), np.array([0, 1]))] * 3}, "1 of 2 rows"),
        ({"batches": [(np.array([[np.inf, 2, -np.inf], [1, 2, 3]]), np.array([0, 1]))] * 3}, "1 of 2 rows"),
        ({"batches": [*GOOD[:2], (np.full((2, 3), 1e300), np.array([0, 1]))]}, "2 of 2 rows"),  # float32 cannot hold it
        ({"learning_rates": []}, "one or more numbers above 0"),
        ({"learning_rates": [0.1, 0.0]}, "one or more numbers above 0"),
        ({"learning_rates": 0.1}, "one or more numbers above 0"),
        ({"device": "gpu"}, "auto, cpu, cuda or cuda:N"),
        ({"learning_rates": [np.nan]}, "one or more numbers above 0"),
        ({"momentum": 1.0}, "from 0 to below 1"),
        ({"steps": 0}, "whole number of at least 1"),
        ({"classes": 1}, "whole number of at least 2"),
    ],
)
def test_what_does_not_fit_is_said(change, message):
    given = {"batches": GOOD, "classes": 2, "dims": 3, "learning_rates": [0.1], "steps": 3, **change}
    with pytest.raises(ArgumentError, match=message):
        inspect.unwrap(fit_sgd)(**given)


def test_large_finite_numbers_are_no_error():
    x = np.full((2, 3), 3e38, "f")  # their sum is infinite, they are not
    fit = fit_sgd([(x, np.array([0, 1]))], 2, 3, [1e-40], 1)
    assert fit.loss_LT[0, 0] == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 11}, "at most 10"),
        ({"batch": 0}, "whole number"),
        ({"epochs": 0}, "whole number"),
        ({"y_N": np.zeros(10, int)}, "at least two classes"),
        ({"x_ND": np.full((10, 2), np.nan)}, "10 of 10 rows"),
        ({"x_ND": np.full((10, 2), np.inf, "f2")}, "10 of 10 rows"),
        ({"x_ND": np.ones((9, 2))}, "9 labels, one a row"),
        ({"x_ND": np.ones((0, 2))}, "at least one row"),
    ],
)
def test_batches_refuse_at_once(change, message):
    given = {"x_ND": np.ones((10, 2)), "y_N": np.arange(10) % 2, "batch": 5, "epochs": 1, **change}
    with pytest.raises(ArgumentError, match=message):
        inspect.unwrap(batches_of)(**given)


def test_scores_and_predictions_are_the_product(monkeypatch):
    from relic_eval.probes import linear

    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 3)), rng.normal(size=(50, 4))
    expected = np.einsum("nd,ldc->lnc", x, w) + b[:, None]
    monkeypatch.setattr(linear, "MEMORY", 8)  # the fewest rows a block
    np.testing.assert_allclose(scores(w, b, x), expected, rtol=1e-12)
    np.testing.assert_array_equal(predict(w, b, x), expected.argmax(2))
    far = (x + 1e6).astype("f")  # float32 products of such rows have no digit after the point
    single, bias = w.astype("f"), -1e6 * w.astype("f").sum(1, dtype=float)
    exact = np.einsum("nd,ldc->lnc", far.astype(float), single.astype(float)) + bias[:, None]
    np.testing.assert_allclose(scores(single, bias, far), exact, rtol=1e-5, atol=1e-5)
    with pytest.raises(ArgumentError, match="4 columns"):
        inspect.unwrap(scores)(w, b, x[:, :3])
