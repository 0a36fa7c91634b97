"""The ridge path against scikit-learn, against the fit without each row, and by hand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge, RidgeClassifier, RidgeClassifierCV, RidgeCV

from relic_eval.errors import ArgumentError
from relic_eval.probes.linear import predict
from relic_eval.probes.ridge import PENALTIES, fit_ridge

LAMBDAS = (1e-3, 0.1, 1.0, 30.0, 1e4)
SHAPES = [(40, 6), (6, 40), (12, 12), (13, 12), (12, 11), (11, 12), (14, 12)]  # rows more, fewer and as many as columns


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:500], y[:500]


def made(rows, dims, targets=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, dims)) * np.exp(rng.normal(size=dims)) + 5
    return x, x[:, :2] @ rng.normal(size=(2, targets)) + rng.normal(size=(rows, targets))


def brute(x, y, lam, weight=None):
    """What scikit-learn's fit without each row says of it."""
    weight = np.ones(len(x)) if weight is None else weight
    out = np.empty(y.shape)
    for i in range(len(x)):
        others = np.arange(len(x)) != i
        model = Ridge(alpha=lam, solver="svd").fit(x[others], y[others], sample_weight=weight[others])
        out[i] = model.predict(x[i : i + 1])[0]
    return out


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_and_leave_one_out_are_scikit_learns(shape, weighted):
    x, y = made(*shape)
    weight = np.random.default_rng(1).uniform(0.2, 3, len(x)) if weighted else None
    path = fit_ridge(x, y, LAMBDAS, sample_weight_N=weight, keep=True)
    for place, lam in enumerate(LAMBDAS):
        model = Ridge(alpha=lam, solver="svd").fit(x, y, sample_weight=weight)
        np.testing.assert_allclose(path.weights_LDC[place], model.coef_.T, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(path.bias_LC[place], model.intercept_, rtol=1e-6, atol=1e-8)
        expected = brute(x, y, lam, weight)
        np.testing.assert_allclose(path.loo_LNC[place], expected, rtol=1e-6, atol=1e-6)
        error = np.average(((y - expected) ** 2).mean(1), weights=weight)
        assert path.loo_error_L[place] == pytest.approx(error, rel=1e-6)
        used = np.ones(len(x)) if weight is None else weight
        objective = 0.5 * (used @ (y - model.predict(x)) ** 2).sum() + lam / 2 * (model.coef_**2).sum()
        assert path.objective_L[place] == pytest.approx(objective, rel=1e-6)
    assert path.converged_L.all()
    assert path.loo_top1_L is None


@pytest.mark.parametrize("shape", [(40, 6), (8, 30)])
def test_the_path_is_that_of_ridge_cv(shape):
    x, y = made(*shape)
    path = fit_ridge(x, y, LAMBDAS, keep=True)
    model = RidgeCV(alphas=LAMBDAS, store_cv_results=True).fit(x, y)
    errors_NCL = (y[..., None] - path.loo_LNC.transpose(1, 2, 0)) ** 2
    np.testing.assert_allclose(errors_NCL, model.cv_results_, rtol=1e-6, atol=1e-9)
    assert path.penalties_L[path.best] == model.alpha_
    np.testing.assert_allclose(path.weights_LDC[path.best], model.coef_.T, rtol=1e-6, atol=1e-9)
    assert -path.loo_error_L[path.best] == pytest.approx(model.best_score_, rel=1e-6)


@pytest.mark.parametrize("rows", [40, 500])  # below and above the 64 columns
@pytest.mark.parametrize("classes", [2, 10])
def test_classes_are_those_of_ridge_classifier_cv(digits, rows, classes):
    x, y = digits[0][:rows], digits[1][:rows] % classes
    path = fit_ridge(x, y, (0.1, 10.0, 1e3), keep=True)
    model = RidgeClassifierCV(alphas=(0.1, 10.0, 1e3), store_cv_results=True).fit(x, y)
    # scikit-learn codes classes as -1 and 1, ours are 0 and 1: errors are a quarter; two classes have one column there
    ours_NCL = 4 * (np.eye(classes)[y][..., None] - path.loo_LNC.transpose(1, 2, 0)) ** 2
    theirs_NCL = model.cv_results_.reshape(rows, -1, 3)
    np.testing.assert_allclose(ours_NCL[:, -theirs_NCL.shape[1] :], theirs_NCL, rtol=1e-6, atol=1e-9)
    assert path.penalties_L[path.best] == model.alpha_
    for place, lam in enumerate(path.penalties_L):
        expected = RidgeClassifier(alpha=lam, solver="svd").fit(x, y).predict(x)
        np.testing.assert_array_equal(predict(path.weights_LDC, path.bias_LC, x)[place], expected)
    right = (path.loo_LNC.argmax(2) == y).mean(1)
    np.testing.assert_allclose(path.loo_top1_L, right, rtol=1e-12)


def test_three_rows_by_hand():
    # means 1 and 1; sum of squares 2, of products 2: slope 2 / (2 + lambda)
    path = fit_ridge(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [2.0]]), [2.0, 6.0], keep=True)
    np.testing.assert_allclose(path.weights_LDC[:, 0, 0], [0.5, 0.25])
    np.testing.assert_allclose(path.bias_LC[:, 0], [0.5, 0.75])
    # without the first: means 1.5, slope 0.5 / (0.5 + lambda); at lambda 2: 1.5 - 1.5 * 0.2; without the second: mean 1
    np.testing.assert_allclose(path.loo_LNC[0, :, 0], [1.2, 1.0, 0.8])
    np.testing.assert_allclose(path.loo_error_L[0], (1.2**2 + 0 + 1.2**2) / 3)
    # errors -1/2, 0, 1/2: half their squares 1/4, and half of lambda times the squared slope 1/4
    np.testing.assert_allclose(path.objective_L[0], 0.25 + 0.25)
    assert path.best == 0
    assert path.edge == "the chosen penalty, 2, is the smallest of the grid: a smaller one may do better"


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(4, 9),
    dims=st.integers(1, 9),
    seed=st.integers(0, 999),
    dtype=st.sampled_from(["float32", "float64", "float16", "int8"]),
    duplicated=st.booleans(),
)
def test_any_shape_is_brute_force(rows, dims, seed, dtype, duplicated):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(rows, dims)) * 20).astype(dtype)
    if duplicated:
        x[1], x[:, -1] = x[0], x[:, 0]  # two rows and two columns alike
    y = rng.permutation(np.r_[0, 0, 1, 1, rng.integers(0, 3, rows - 4)])
    path = fit_ridge(x, y, (0.05, 5.0), classes=3, keep=True)
    for place, lam in enumerate((0.05, 5.0)):
        expected = brute(x.astype(float), np.eye(3)[y], lam)
        np.testing.assert_allclose(path.loo_LNC[place], expected, rtol=1e-6, atol=1e-6)
    order = rng.permutation(rows)
    mixed = fit_ridge(x[order], y[order], (5.0, 0.05), classes=3, keep=True)
    np.testing.assert_allclose(mixed.weights_LDC[::-1], path.weights_LDC, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(mixed.loo_LNC[::-1], path.loo_LNC[:, order], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_a_weight_of_two_is_a_row_given_twice_and_of_zero_a_row_left_out(shape):
    x, y = made(*shape)
    weight = np.ones(len(x))
    weight[0], weight[3] = 2, 0
    path = fit_ridge(x, y, LAMBDAS, sample_weight_N=weight, keep=True)
    rows = np.r_[0, np.arange(len(x))]
    rows = rows[rows != 3]
    again = fit_ridge(x[rows], y[rows], LAMBDAS)
    np.testing.assert_allclose(path.weights_LDC, again.weights_LDC, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(path.objective_L, again.objective_L, rtol=1e-6)
    whole_fit = np.einsum("d,ldc->lc", x[3], path.weights_LDC) + path.bias_LC
    np.testing.assert_allclose(path.loo_LNC[:, 3], whole_fit, rtol=1e-6)
    np.testing.assert_allclose(path.loo_LNC[2, 0], brute(x, y, 1.0, weight)[0], rtol=1e-6)
    error = (weight[:, None] * (y - path.loo_LNC) ** 2).sum((1, 2)) / (weight.sum() * 3)
    np.testing.assert_allclose(path.loo_error_L, error, rtol=1e-9)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_relative_penalties_are_multiples_of_the_mean_eigenvalue(shape):
    x, y = made(*shape)
    path = fit_ridge(x, y, LAMBDAS, relative=True, keep=True)
    mean = np.linalg.eigvalsh(np.cov(x, rowvar=False, bias=True)).mean() * len(x)
    np.testing.assert_allclose(path.penalties_L, np.array(LAMBDAS) * mean, rtol=1e-9)
    plain = fit_ridge(x, y, path.penalties_L, keep=True)
    np.testing.assert_allclose(path.weights_LDC, plain.weights_LDC, rtol=1e-9)
    scaled = fit_ridge(x * 100, y, LAMBDAS, relative=True, keep=True)
    np.testing.assert_allclose(scaled.weights_LDC * 100, path.weights_LDC, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(scaled.loo_LNC, path.loo_LNC, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(60, 5), (5, 60)])
def test_far_from_the_origin_and_in_float32(shape):
    x, y = made(*shape)
    far = (x + 1e3).astype("f")  # a sum of squares that is not centred would lose all digits in float32
    path = fit_ridge(far, y, LAMBDAS)
    for place, lam in enumerate(LAMBDAS):
        model = Ridge(alpha=lam, solver="svd").fit(far.astype(float), y)
        np.testing.assert_allclose(path.weights_LDC[place], model.coef_.T, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rows", [30, 300])
def test_columns_without_variance_carry_no_weight(digits, rows):
    x, y = digits[0][:rows], digits[1][:rows]
    padded = np.concatenate([np.full((rows, 2), 0.1), x, x[:, :1] * 0], 1)
    path, plain = fit_ridge(padded, y, PENALTIES, classes=10), fit_ridge(x, y, PENALTIES, classes=10)
    assert np.abs(path.weights_LDC[:, [0, 1, -1]]).max() < 1e-9
    np.testing.assert_allclose(path.weights_LDC[:, 2:-1], plain.weights_LDC, rtol=1e-5, atol=1e-8)
    assert path.converged_L.all()
    assert np.isfinite(path.loo_error_L).all()


@pytest.mark.parametrize("shape", [(12, 3), (4, 30)])
def test_only_constant_columns_give_the_shares_of_the_classes(shape):
    y = np.arange(shape[0]) % 4 // 3
    path = fit_ridge(np.ones(shape), y, (1.0,), keep=True)
    assert np.abs(path.weights_LDC).max() == 0
    np.testing.assert_allclose(path.bias_LC[0], [0.75, 0.25])
    n = shape[0]
    others = (n / 4 - y) / (n - 1)  # share of class 1 among the other rows
    np.testing.assert_allclose(path.loo_LNC[0, :, 1], others)


def test_a_row_that_decides_its_own_prediction_is_missing_or_right():
    x = np.concatenate([np.random.default_rng(0).normal(size=(30, 2)), np.zeros((30, 1))], 1)
    x[0, 2] = 1e6  # the only row that has the third column: its h is 1 - lambda / 1e12
    y = x[:, :1] + np.random.default_rng(1).normal(size=(30, 1))
    path = fit_ridge(x, y, (1e-3, 1e6), keep=True)
    assert np.isnan(path.loo_LNC[0, 0]).all()
    assert np.isnan(path.loo_error_L[0])
    assert path.best == 1
    np.testing.assert_allclose(path.loo_LNC[1, 0], brute(x, y, 1e6)[0], rtol=1e-6)
    assert np.isfinite(path.weights_LDC).all()


def test_without_leave_one_out(digits):
    path, more = fit_ridge(*digits, LAMBDAS, loo=False), fit_ridge(*digits, LAMBDAS)
    assert (path.loo_error_L, path.loo_top1_L, path.loo_LNC, path.best, path.edge) == (None, None, None, None, "")
    np.testing.assert_array_equal(path.weights_LDC, more.weights_LDC)
    assert more.loo_LNC is None
    assert more.loo_error_L.shape == (5,)


def test_blocks_of_rows_change_nothing(digits, monkeypatch):
    from relic_eval.probes import linear

    x, y = digits
    path = fit_ridge(x, y, LAMBDAS, keep=True)
    monkeypatch.setattr(linear, "MEMORY", 8)  # the fewest rows a block
    parts = fit_ridge(x, y, LAMBDAS, keep=True)
    np.testing.assert_allclose(parts.weights_LDC, path.weights_LDC, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(parts.loo_LNC, path.loo_LNC, rtol=1e-6, atol=1e-8)
    few = fit_ridge(x[:40], y[:40], LAMBDAS, keep=True)
    assert few.converged_L.all()


@pytest.mark.parametrize("form", ["f2", "u1", "i8", ">f4", "f4", "fortran", "map"])
def test_other_forms_of_the_same_numbers(digits, form, tmp_path):
    x, y = digits
    given = np.asfortranarray(x) if form == "fortran" else x if form == "map" else x.astype(form)
    if form == "map":
        np.save(tmp_path / "x.npy", x)
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    path = inspect.unwrap(fit_ridge)(given, y.astype(">i4"), LAMBDAS)
    np.testing.assert_allclose(path.weights_LDC, fit_ridge(x, y, LAMBDAS).weights_LDC, rtol=1e-9, atol=1e-12)


def test_inputs_are_not_written_to(digits):
    x, y, weight = digits[0].copy(), digits[1].copy(), np.ones(500)
    for array in (x, y, weight):
        array.flags.writeable = False
    for rows in (40, 500):
        fit_ridge(x[:rows], y[:rows], LAMBDAS, sample_weight_N=weight[:rows], keep=True)
    np.testing.assert_array_equal(x, digits[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalties": []}, "one or more numbers above 0"),
        ({"penalties": [1.0, 0.0]}, "one or more numbers above 0"),
        ({"penalties": [np.inf]}, "one or more numbers above 0"),
        ({"penalties": ["a"]}, "one or more numbers above 0"),
        ({"device": "gpu"}, "auto, cpu, cuda or cuda:N"),
        ({"y_N": np.zeros(6, int)}, "at least two classes"),
        ({"y_N": np.arange(6) % 3, "classes": 2}, "class numbers below 2, received 2"),
        ({"y_N": np.arange(5) % 2}, "6 labels, one a row"),
        ({"y_N": np.arange(6) - 1}, "class numbers from 0 on"),
        ({"y_N": np.linspace(0, 1, 6)}, r"y\[:, None\]"),
        ({"y_N": np.zeros((5, 2))}, "6 labels, one a row"),
        ({"y_N": np.full((6, 2), np.nan)}, "6 of 6 rows"),
        ({"y_N": np.zeros((6, 2)), "classes": 2}, "None for real targets"),
        ({"x_ND": np.where(np.arange(6)[:, None] == 2, np.nan, np.ones((6, 3)))}, "1 of 6 rows .the first is row 2"),
        ({"x_ND": np.ones((0, 3))}, "at least one row"),
        ({"sample_weight_N": np.ones(5)}, "6 numbers, one a row"),
        ({"sample_weight_N": np.r_[np.ones(5), -1]}, "at least 0"),
        ({"sample_weight_N": np.r_[np.ones(5), np.nan]}, "at least 0"),
        ({"sample_weight_N": np.r_[1, np.zeros(5)]}, "at least two rows"),
        ({"sample_weight_N": np.array([1, 0, 1, 0, 1, 0])}, "at least two classes"),
    ],
)
def test_what_does_not_fit_is_said(change, message):
    given = {"x_ND": np.eye(6, 3), "y_N": np.arange(6) % 2, "penalties": [1.0], **change}
    with pytest.raises(ArgumentError, match=message):
        inspect.unwrap(fit_ridge)(**given)
