"""The penalty path against scikit-learn and against its own certificate, recomputed in float64."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from relic_eval.errors import ArgumentError
from relic_eval.probes.logistic import PENALTIES, fit_path, fit_subsets, predict, probabilities
from relic_eval.probes.rows import Rows


@pytest.fixture(scope="module")
def digits():
    """700 of scikit-learn's digits, as they are: 64 pixels from 0 to 16, some of them constant."""
    x, y = load_digits(return_X_y=True)
    return x[:700].astype("f"), y[:700]


def reference(weights_DC, bias_C, lam, x, y):
    """The summed objective, and the largest gradient entry of the mean form, in float64."""
    x, w, b = (np.asarray(a, np.float64) for a in (x, weights_DC, bias_C))
    z = x @ w + b
    z -= z.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    value = -log_p[np.arange(len(y)), y].sum() + lam / 2 * (w**2).sum()
    residual = np.exp(log_p)
    residual[np.arange(len(y)), y] -= 1
    gradient = max(np.abs(x.T @ residual + lam * w).max(), np.abs(residual.sum(0)).max()) / len(y)
    return value, gradient


def centred(path, place, x):
    """Weights, intercept, rows and squared size of centred rows at unit mean square, where the certificate is taken."""
    weights = path.weights_SLDC[0, place].astype(np.float64)
    mean = x.astype(np.float64).mean(0)
    size = np.sqrt(((x - mean) ** 2).mean())
    return weights * size, path.bias_SLC[0, place] + mean @ weights, (x - mean) / size, size**2


def sklearn_minimum(x, y, lam):
    model = LogisticRegression(C=1 / lam, solver="newton-cholesky", tol=1e-8, max_iter=200)
    model.fit(x.astype(np.float64), y)
    return model


LAMBDAS = (0.01, 1.0, 30.0, 1e3, 1e5)


@pytest.fixture(scope="module")
def digits_path(digits):
    return fit_path(*digits, penalties=LAMBDAS, tol=2e-6)


@pytest.mark.parametrize("lam", LAMBDAS)
def test_objective_is_scikit_learns(digits, digits_path, lam):
    x, y = digits
    place = LAMBDAS.index(lam)
    model = sklearn_minimum(x, y, lam)
    best, _ = reference(model.coef_.T, model.intercept_, lam, x, y)
    ours, _ = reference(digits_path.weights_SLDC[0, place], digits_path.bias_SLC[0, place], lam, x, y)
    assert digits_path.objective_SL[0, place] == pytest.approx(ours, rel=1e-4)
    if lam < 1:  # separable and all but free: the objective is next to nothing, and the certificate is of its mean
        assert best * 0.9999 <= ours <= best + 1e-4 * len(y)
    else:
        assert ours == pytest.approx(best, rel=1e-4)
        np.testing.assert_allclose(probabilities(digits_path, x[:50])[0, place], model.predict_proba(x[:50]), atol=5e-3)
    assert (predict(digits_path, x)[0, place] == model.predict(x)).mean() > 0.995


def test_the_certificate_holds_in_float64(digits):
    x, y = digits
    path = fit_path(x, y)
    assert path.penalties_L.tolist() == list(PENALTIES)
    assert path.converged_SL.all()
    for place, lam in enumerate(PENALTIES):
        weights, bias, x0, size2 = centred(path, place, x)
        value, gradient = reference(weights, bias, lam / size2, x0, y)
        assert gradient <= 1.1e-4
        assert gradient == pytest.approx(path.gradient_SL[0, place], rel=0.05, abs=1e-5)
        assert value == pytest.approx(path.objective_SL[0, place], rel=1e-3)
    norms = (path.weights_SLDC[0].astype(float) ** 2).sum((1, 2))
    assert (np.diff(norms[12:]) < 0).all()  # from 1e-3 on: a larger penalty, smaller weights


def test_converged_says_what_the_gradient_says(digits):
    x, y = digits
    path = fit_path(x[:30, 20:30], y[:30] % 2, penalties=(1e-6, 1.0), tol=1e-10)  # finer than float32 can reach
    assert (path.converged_SL == (path.gradient_SL <= 1e-10)).all()
    assert not path.converged_SL.all()


@pytest.mark.parametrize("lam", [0.1, 1.0, 100.0])
def test_two_classes_are_the_binary_form_with_half_the_penalty(digits, lam):
    x, y = digits
    x, y = x[np.isin(y, (3, 8))] / 16, (y[np.isin(y, (3, 8))] == 8).astype(int)
    path = fit_path(x, y, penalties=(lam,), tol=1e-7)
    model = sklearn_minimum(x, y, lam / 2)  # of the difference of the two columns
    weights, bias = path.weights_SLDC[0, 0], path.bias_SLC[0, 0]
    np.testing.assert_allclose(weights[:, 1] - weights[:, 0], model.coef_[0], atol=2e-3 * np.abs(model.coef_).max())
    assert bias[1] - bias[0] == pytest.approx(model.intercept_[0], rel=5e-3, abs=5e-3)
    np.testing.assert_allclose(weights[:, 0], -weights[:, 1], atol=1e-4)


@pytest.mark.parametrize("rows", [12, 40, 63, 64, 65])
def test_fewer_rows_than_columns(digits, rows):
    x, y = digits
    x, y = x[:rows] / 16, y[:rows] % 4
    path = fit_path(x, y, penalties=(0.1, 10.0), tol=1e-6)
    for place, lam in enumerate((0.1, 10.0)):
        model = sklearn_minimum(x, y, lam)
        best, _ = reference(model.coef_.T, model.intercept_, lam, x, y)
        ours, _ = reference(path.weights_SLDC[0, place], path.bias_SLC[0, place], lam, x, y)
        assert ours == pytest.approx(best, rel=1e-4)
        weights, bias, x0, size2 = centred(path, place, x)
        assert reference(weights, bias, lam / size2, x0, y)[1] < 2e-6


@pytest.mark.parametrize("rows", [20, 300])
def test_constant_columns_carry_no_weight(digits, rows):
    x, y = digits
    x, y = x[:rows, 20:40] / 16, y[:rows] % 3
    padded = np.concatenate([np.full((rows, 2), 7.0, "f"), x, np.zeros((rows, 3), "f")], 1)
    plain, more = (fit_path(a, y, penalties=(1.0,), tol=1e-6) for a in (x, padded))
    constant = np.r_[0:2, 22:25]
    assert np.abs(more.weights_SLDC[0, 0][constant]).max() < 1e-4
    np.testing.assert_allclose(more.weights_SLDC[0, 0][2:22], plain.weights_SLDC[0, 0], atol=2e-3)
    assert more.objective_SL[0, 0] == pytest.approx(plain.objective_SL[0, 0], rel=1e-5)


@pytest.mark.parametrize("shape", [(12, 3), (4, 30)])
def test_only_constant_columns_give_the_shares_of_the_classes(shape):
    y = np.arange(shape[0]) % 4 // 3  # a quarter is of class 1
    path = fit_path(np.ones(shape), y, penalties=(1.0,), tol=1e-6)
    np.testing.assert_allclose(probabilities(path, np.ones(shape))[0, 0, :, 1], 0.25, atol=1e-4)


def test_one_class_is_refused(digits):
    x, _ = digits
    with pytest.raises(ArgumentError, match="at least two classes"):
        fit_path(x[:20], np.full(20, 4), classes=10)
    with pytest.raises(ArgumentError, match="at least two classes"):
        fit_subsets(x[:20], np.arange(20) // 10, np.array([[0, 11], [12, 13]]))


def test_rows_and_labels_must_agree(digits):
    x, y = digits
    with pytest.raises(ArgumentError, match="NaN"):
        fit_path(np.where(np.arange(20)[:, None] == 3, np.nan, x[:20]), y[:20])
    with pytest.raises(ArgumentError, match="20 labels, one a row"):
        inspect.unwrap(fit_path)(x[:20], y[:19])


def test_classes_absent_from_train_are_not_predicted(digits):
    x, y = digits
    seen = np.isin(y, (1, 4, 7))
    path = fit_path(x[seen], y[seen], classes=10, penalties=(0.1, 1.0, 100.0))
    assert path.weights_SLDC.shape == (1, 3, 64, 10)
    assert path.converged_SL.all()
    assert set(np.unique(predict(path, x[seen]))) == {1, 4, 7}
    assert probabilities(path, x[seen])[..., [0, 2, 3, 5, 6, 8, 9]].max() < 0.02
    renamed = fit_path(x[seen], np.searchsorted((1, 4, 7), y[seen]), penalties=(0.1, 1.0, 100.0))
    same = predict(path, x[seen]) == np.array([1, 4, 7])[predict(renamed, x[seen])]
    assert same.mean() > 0.99


@pytest.mark.parametrize("rows", [30, 100])  # below and above the number of columns
def test_subsets_are_fits_of_their_own(digits, rows):
    x, y = digits[0] / 16, digits[1] % 4
    rng = np.random.default_rng(rows)
    rows_SM = np.stack([rng.choice(700, rows, replace=False) for _ in range(2)])
    penalties = (0.1, 1.0, 50.0)
    together = fit_subsets(x, y, rows_SM, penalties=penalties, tol=1e-6)
    predicted = predict(together, x)
    for s, chosen in enumerate(rows_SM):
        alone = fit_path(x[chosen], y[chosen], penalties=penalties, tol=1e-6)
        np.testing.assert_allclose(together.objective_SL[s], alone.objective_SL[0], rtol=1e-4)
        np.testing.assert_allclose(together.weights_SLDC[s], alone.weights_SLDC[0], atol=0.02)
        np.testing.assert_allclose(together.weights_SLDC[s, 1:], alone.weights_SLDC[0, 1:], atol=2e-3)
        assert (predicted[s] == predict(alone, x)[0]).mean() > 0.995
    assert (predicted[0] != predicted[1]).any()


@pytest.mark.parametrize("rows", [50, 400])  # below and above the number of columns
def test_a_start_near_the_end_saves_calls_and_ends_at_the_same_place(digits, rows):
    x, y = digits[0][:rows] / 16, digits[1][:rows]
    cold = fit_path(x, y, penalties=(1.0,), tol=1e-6)
    before = fit_path(x[:-5], y[:-5], classes=10, penalties=(1.0,), tol=1e-5)
    warm = fit_path(x, y, penalties=(1.0,), tol=1e-6, start=(before.weights_SLDC[0, 0], before.bias_SLC[0, 0]))
    assert warm.calls < cold.calls
    assert warm.converged_SL.all()
    np.testing.assert_allclose(warm.objective_SL, cold.objective_SL, rtol=1e-5)
    same = fit_path(x, y, penalties=(1.0,), tol=1e-4, start=(cold.weights_SLDC[0, 0], cold.bias_SLC[0, 0]))
    assert same.calls == 1


def test_subsets_a_few_at_a_time(digits, monkeypatch):
    from relic_eval.probes import logistic

    x, y = digits[0] / 16, digits[1] % 4
    rows_SM = np.stack([np.random.default_rng(s).choice(700, 40, replace=False) for s in range(5)])
    together = fit_subsets(x, y, rows_SM, penalties=(0.1, 10.0), tol=1e-6)
    monkeypatch.setattr(logistic, "MEMORY", 2 * 30 * 4 * 2 * 41 * 4)  # room for two of them
    parts = fit_subsets(x, y, rows_SM, penalties=(0.1, 10.0), tol=1e-6)
    assert parts.weights_SLDC.shape == together.weights_SLDC.shape
    assert parts.calls > together.calls
    np.testing.assert_allclose(parts.objective_SL, together.objective_SL, rtol=1e-4)
    assert (predict(parts, x) == predict(together, x)).mean() > 0.995


def test_the_order_of_the_penalties_does_not_matter(digits):
    x, y = digits[0][:150] / 16, digits[1][:150] % 3
    penalties = tuple(float(p) for p in np.logspace(-1, 3, 11))  # enough for coarse ones and interpolated ones
    mixed = np.random.default_rng(0).permutation(11)
    up = fit_path(x, y, penalties=penalties, tol=1e-6)
    other = fit_path(x, y, penalties=tuple(penalties[i] for i in mixed), tol=1e-6)
    np.testing.assert_allclose(other.objective_SL[0], up.objective_SL[0, mixed], rtol=1e-4)
    np.testing.assert_allclose(other.weights_SLDC[0], up.weights_SLDC[0, mixed], atol=0.02)
    for place, lam in enumerate(penalties):
        ours, _ = reference(up.weights_SLDC[0, place], up.bias_SLC[0, place], lam, x, y)
        assert up.objective_SL[0, place] == pytest.approx(ours, rel=1e-4)


def test_blocks_of_rows_change_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9001, 3)).astype("f")  # more than one block of the loss
    y = (x[:, 0] + rng.normal(size=9001) > 0).astype(int)
    path = fit_path(x, y, penalties=(1.0, 100.0), tol=1e-6)
    for place, lam in enumerate((1.0, 100.0)):
        model = sklearn_minimum(x, y, lam / 2)
        slope = path.weights_SLDC[0, place, :, 1] - path.weights_SLDC[0, place, :, 0]
        np.testing.assert_allclose(slope, model.coef_[0], atol=1e-3)
    scores = x.astype(float) @ path.weights_SLDC[0, 0].astype(float) + path.bias_SLC[0, 0]
    p = probabilities(path, x)[0, 0]
    np.testing.assert_allclose(np.log(p[:, 1] / p[:, 0]), scores[:, 1] - scores[:, 0], atol=1e-3)


@pytest.mark.parametrize("form", ["f2", "u1", "i8", ">f4", "f8", "fortran"])
def test_other_forms_of_the_same_numbers(digits, form):
    x, y = digits[0][:120], digits[1][:120]
    given = np.asfortranarray(x) if form == "fortran" else x.astype(form)
    fit = inspect.unwrap(fit_path)
    path, plain = fit(given, y.astype("i4"), penalties=(1.0,)), fit_path(x, y, penalties=(1.0,))
    if path.weights_SLDC.dtype == np.float64:  # what needs more digits than float32 has is fitted with them
        np.testing.assert_allclose(path.weights_SLDC, plain.weights_SLDC, atol=1e-5)
    else:
        np.testing.assert_array_equal(path.weights_SLDC, plain.weights_SLDC)


def test_inputs_are_not_written_to(digits):
    x, y = digits[0][:80].copy(), digits[1][:80].copy()
    path = fit_path(x, y, penalties=(1.0,))
    fit_subsets(x, y, np.arange(40).reshape(1, 40), penalties=(1.0,))
    predict(path, x)
    np.testing.assert_array_equal(x, digits[0][:80])
    np.testing.assert_array_equal(y, digits[1][:80])


@pytest.fixture
def warn_always():
    """Torch says most warnings once a process: a test of read-only input must hear them each time."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


@pytest.mark.parametrize("what", ["rows", "labels", "predicted rows"])
def test_read_only_input(tmp_path, digits, warn_always, what):
    x, y = digits[0][:80].copy(), digits[1][:80].copy()
    expected = fit_path(x, y, penalties=(1.0,))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    if what == "predicted rows":
        np.testing.assert_array_equal(predict(expected, mapped[0]), predict(expected, x))
    else:
        path = fit_path(mapped[0], y, penalties=(1.0,)) if what == "rows" else fit_path(x, mapped[1], penalties=(1.0,))
        np.testing.assert_array_equal(path.weights_SLDC, expected.weights_SLDC)


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-10, 2.0**13])  # powers of two change no digit
def test_the_scale_of_the_features_changes_nothing(digits, scale):
    """The same problem in other units, as many units of penalty: a certificate must not take it for solved at the start."""
    x, y = digits
    penalties = (0.01, 1.0, 100.0)
    plain = fit_path(x, y, penalties=penalties)
    other = fit_path((x * scale).astype("f"), y, penalties=tuple(p * scale**2 for p in penalties))
    np.testing.assert_allclose(other.gradient_SL, plain.gradient_SL, rtol=1e-3)
    np.testing.assert_allclose(other.objective_SL, plain.objective_SL, rtol=1e-6)
    assert (predict(other, (x * scale).astype("f")) == predict(plain, x)).mean() > 0.99
    assert (predict(other, (x * scale).astype("f"))[0, :2] == y).mean() > 0.95


def test_small_singular_values_do_not_spoil_the_dual_form():
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(n, 20)))[0] for n in (20, 60))
    x, y = (left * np.logspace(0, -5, 20)) @ right.T, np.arange(20) % 2
    path = fit_path(x.astype("f"), y, penalties=(1e-4,), tol=1e-5)
    value, _ = reference(path.weights_SLDC[0, 0], path.bias_SLC[0, 0], 1e-4, x.astype("f"), y)
    assert path.objective_SL[0, 0] == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("rows", [30, 500])  # below and above the number of columns
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_far_from_the_origin_the_certificate_and_the_predictions_hold(digits, rows, offset):
    """float32 intercepts and products would lose what tells the classes apart: x W and b are large and all but cancel."""
    x, y = (digits[0][:rows] + offset).astype("f"), digits[1][:rows]
    path = fit_path(x, y, penalties=(0.1, 10.0), tol=1e-5)
    for place, lam in enumerate((0.1, 10.0)):
        weights, bias, x0, size2 = centred(path, place, x)
        value, gradient = reference(weights, bias, lam / size2, x0, y)
        assert gradient == pytest.approx(path.gradient_SL[0, place], rel=0.1)
        assert value == pytest.approx(path.objective_SL[0, place], rel=1e-5)
        exact = x.astype(float) @ path.weights_SLDC[0, place].astype(float) + path.bias_SLC[0, place]
        np.testing.assert_array_equal(predict(path, x)[0, place], exact.argmax(1))
        p = np.exp(exact - exact.max(1, keepdims=True))
        np.testing.assert_allclose(probabilities(path, x)[0, place], p / p.sum(1, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**70, 2.0**110])
def test_squares_beyond_float32_are_no_constant_columns(digits, scale):
    x, y = digits[0][:200], digits[1][:200]
    plain = fit_path(x, y, penalties=(1.0, 100.0))
    other = fit_path((x * scale).astype("f"), y, penalties=(scale**2, 100 * scale**2))
    np.testing.assert_allclose(other.objective_SL, plain.objective_SL, rtol=1e-5)
    np.testing.assert_allclose(other.weights_SLDC * scale, plain.weights_SLDC, atol=1e-3)


def test_a_gradient_that_did_not_converge_is_the_whole_one(digits):
    """On the way a smaller number may stand for it; what is reported may not be better than the truth."""
    x, y = digits[0].astype(float) * np.logspace(-3, 3, 64), digits[1]
    path = fit_path(x, y, penalties=(1e-3, 1.0), tol=1e-9)
    assert not path.converged_SL.any()
    for place, lam in enumerate((1e-3, 1.0)):
        weights, bias, x0, size2 = centred(path, place, x)
        assert path.gradient_SL[0, place] == pytest.approx(reference(weights, bias, lam / size2, x0, y)[1], rel=1e-6)


def test_a_direction_of_little_variance_is_not_left_out_of_the_dual_form():
    """One column of a thousand tells the classes apart, on a scale of 2e-5: the gradient along it is part of the proof."""
    rng, y = np.random.default_rng(0), np.arange(12) % 2
    x = np.repeat(rng.normal(size=(12, 1)), 1000, 1)
    x[:, -1] += 2e-5 * (2 * y - 1)
    path = fit_path(x, y, penalties=(1e-9,), tol=1e-6)
    assert path.converged_SL.all()
    weights, bias, x0, size2 = centred(path, 0, x)
    assert reference(weights, bias, 1e-9 / size2, x0, y)[1] < 2e-6
    np.testing.assert_array_equal(predict(path, x)[0, 0], y)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ((np.zeros((3, 10)), np.zeros(10)), r"weights \(64, 10\) and intercepts \(10,\), received \(3, 10\)"),
        ((np.zeros((64, 10)), np.zeros(9)), "intercepts"),
        ((np.full((64, 10), np.nan), np.zeros(10)), "NaN"),
    ],
)
def test_a_start_of_another_problem_is_refused(digits, start, words):
    with pytest.raises(ArgumentError, match=words):
        inspect.unwrap(fit_path)(digits[0][:50], digits[1][:50], classes=10, penalties=(1.0,), start=start)


@pytest.mark.parametrize("memory", [1 << 40, 1])  # at hand, and read in blocks
def test_large_penalties_reach_small_gradients_in_float32(memory):
    """Eigenvectors of float32 are orthonormal to 1e-6 alone: a penalty on rotated weights would be another one outside."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 1500)
    x = (rng.normal(size=(1500, 600)) + 2 * rng.normal(size=(10, 600))[y]).astype("f") ** 2
    path = fit_path(x, y, penalties=(3e4, 1e5, 1e6), tol=3e-7, max_memory=memory)  # sums on one thread leave 2.1e-7
    assert path.converged_SL.all(), path.gradient_SL


def test_the_certificate_is_of_the_weights_that_are_handed_out(digits, monkeypatch):
    """One that believed the fit would say that all is well with weights that were spoilt on their way out."""
    original = Rows.original
    monkeypatch.setattr(Rows, "original", lambda self, point: [1.1 * a for a in original(self, point)])
    path = fit_path(*digits, penalties=(1.0,), tol=1e-6)
    assert not path.converged_SL.any()
    weights, bias, x, square = centred(path, 0, digits[0])
    value, gradient = reference(weights, bias, 1 / square, x, digits[1])
    np.testing.assert_allclose(path.objective_SL[0, 0], value, rtol=1e-6)  # its mean is that of float32 rows
    np.testing.assert_allclose(path.gradient_SL[0, 0], gradient, rtol=1e-5)
