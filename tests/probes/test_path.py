"""What a whole path adds to one fit: shared products, weights, several labels, rows that do not fit, ends that test well."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from relic_eval.errors import ArgumentError
from relic_eval.probes import links
from relic_eval.probes.logistic import PENALTIES, fit_multilabel, fit_path, fit_subsets, predict, probabilities
from relic_eval.probes.rows import Rows


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x.astype("f") / 16, y


def minimum(x, y, lam, weight=None):
    model = LogisticRegression(C=1 / lam, solver="newton-cholesky", tol=1e-10, max_iter=300)
    return model.fit(np.asarray(x, np.float64), y, sample_weight=weight)


def objective(weights, bias, lam, x, y, weight=None):
    z = np.asarray(x, np.float64) @ weights + bias
    z -= z.max(1, keepdims=True)
    loss = np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]
    return (loss if weight is None else loss * weight).sum() + lam / 2 * (weights**2).sum()


@pytest.mark.parametrize("tol", [1e-4, 1e-6])
def test_all_penalties_cost_at_most_half_as_much_again_as_the_hardest_alone(digits, tol):
    x, y = digits[0][:1200], digits[1][:1200]
    alone = max(fit_path(x, y, penalties=(lam,), tol=tol).calls for lam in PENALTIES[::4])
    together = fit_path(x, y, tol=tol)
    assert together.converged_SL.all()
    assert together.calls <= 1.5 * alone


def test_calls_are_passes_over_the_rows(digits, monkeypatch):
    passes = []
    blocks = Rows.blocks
    monkeypatch.setattr(Rows, "blocks", lambda self, columns: passes.append(columns) or blocks(self, columns))
    path = fit_path(*digits, tol=1e-4)
    assert path.calls == len(passes)
    assert max(passes) > 100  # ten classes of many penalties in one product


@pytest.mark.parametrize("rows", [30, 400])  # below and above the number of columns
def test_float64_rows_reach_the_minimum_of_the_reference(digits, rows):
    x, y = digits[0][:rows].astype(float), digits[1][:rows]
    path = fit_path(x, y, penalties=(0.1, 1.0, 100.0), tol=1e-9)
    assert path.converged_SL.all()
    assert path.weights_SLDC.dtype == np.float64
    for place, lam in enumerate((0.1, 1.0, 100.0)):
        model = minimum(x, y, lam)
        best = objective(model.coef_.T, model.intercept_, lam, x, y)
        ours = objective(path.weights_SLDC[0, place], path.bias_SLC[0, place], lam, x, y)
        assert ours == pytest.approx(best, rel=1e-9)
        assert path.objective_SL[0, place] == pytest.approx(best, rel=1e-9)
        np.testing.assert_allclose(probabilities(path, x)[0, place], model.predict_proba(x), atol=1e-6)


def test_the_bound_holds(digits):
    """No weights beside the same intercepts are better by more than the bound says, and it is of use where lambda is not tiny."""
    x, y = digits[0][:300, 16:40].astype(float), digits[1][:300] % 3
    penalties = (0.1, 1.0, 10.0, 100.0)
    loose = fit_path(x, y, penalties=penalties, tol=1e-3)
    for place, lam in enumerate(penalties):
        bias = loose.bias_SLC[0, place]

        def value(w, lam=lam, bias=bias):
            w = w.reshape(-1, 3)
            p = softmax(x @ w + bias, 1) - np.eye(3)[y]
            return objective(w, bias, lam, x, y), (x.T @ p + lam * w).ravel()

        best = minimize(value, loose.weights_SLDC[0, place].ravel(), jac=True, options={"gtol": 1e-7}).fun
        above = loose.objective_SL[0, place] - best
        assert 0 <= above <= loose.bound_SL[0, place] * (1 + 1e-6) + 1e-9
        assert loose.bound_SL[0, place] < 100 * above + 1e-3


def test_the_mean_form_is_the_summed_form_with_more_rows_a_penalty(digits):
    x, y = digits[0][:200], digits[1][:200]
    summed = fit_path(x, y, penalties=(2.0, 20.0))
    mean = fit_path(x, y, penalties=(0.01, 0.1), mean_form=True)
    np.testing.assert_allclose(mean.weights_SLDC, summed.weights_SLDC, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean.objective_SL * 200, summed.objective_SL, rtol=1e-6)
    assert mean.penalties_L.tolist() == [0.01, 0.1]


def test_any_order_and_repeats_of_penalties(digits):
    x, y = digits[0][:150], digits[1][:150]
    path = fit_path(x, y, penalties=[10.0, 0.1, 10.0])
    other = fit_path(x, y, penalties=[0.1, 10.0])
    np.testing.assert_array_equal(path.weights_SLDC[0], other.weights_SLDC[0, [1, 0, 1]])


@pytest.mark.parametrize("rows", [40, 300])
def test_a_weight_counts_a_row_that_many_times(digits, rows):
    x, y = digits[0][:rows].astype(float), digits[1][:rows]
    weight = np.random.default_rng(0).integers(0, 4, rows)
    weighted = fit_path(x, y, penalties=(1.0, 10.0), weight_N=weight, tol=1e-9)
    repeated = fit_path(np.repeat(x, weight, 0), np.repeat(y, weight), classes=10, penalties=(1.0, 10.0), tol=1e-9)
    np.testing.assert_allclose(weighted.weights_SLDC, repeated.weights_SLDC, atol=1e-6)
    np.testing.assert_allclose(weighted.objective_SL, repeated.objective_SL, rtol=1e-8)


def test_fractional_weights_against_the_reference(digits):
    x, y = digits[0][:400].astype(float), digits[1][:400]
    weight = np.random.default_rng(1).uniform(0.1, 3, 400)
    path, model = fit_path(x, y, penalties=(5.0,), weight_N=weight, tol=1e-9), minimum(x, y, 5.0, weight)
    np.testing.assert_allclose(probabilities(path, x)[0, 0], model.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_that_do_not_fit_give_the_same_fits(digits, tmp_path, monkeypatch, weighted):
    x, y = digits
    weight = np.random.default_rng(0).uniform(0.5, 2, len(x)) if weighted else None
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr("relic_eval.probes.rows.READ_BYTES", 100 * 64 * 4)  # many blocks
    fits = [
        fit_path(rows, y, penalties=(0.1, 1.0, 100.0), weight_N=weight, tol=1e-6, max_memory=m)
        for rows, m in ((mapped, 0), (x, 1 << 30))
    ]
    np.testing.assert_allclose(fits[0].objective_SL, fits[1].objective_SL, rtol=1e-5)
    assert fits[0].converged_SL.all()
    assert (predict(fits[0], x) == predict(fits[1], x)).mean() > 0.999


@pytest.mark.parametrize("form", ["f2", ">f4", "u1"])
def test_streamed_rows_of_other_types_are_never_converted_whole(digits, tmp_path, monkeypatch, form):
    x, y = np.round(digits[0] * 16).astype(form), digits[1]
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr("relic_eval.probes.rows.READ_BYTES", 100 * 64 * 4)
    seen = []
    init = Rows.__init__
    monkeypatch.setattr(Rows, "__init__", lambda self, x, *a: seen.append(x) or init(self, x, *a))
    fits = [inspect.unwrap(fit_path)(mapped, y, penalties=(1.0, 100.0), tol=1e-6, max_memory=m) for m in (0, 1 << 30)]
    assert all(np.shares_memory(a, mapped) and a.dtype == form for a in seen)
    np.testing.assert_allclose(fits[0].objective_SL, fits[1].objective_SL, rtol=1e-5)
    plain = fit_path(x.astype("f4"), y, penalties=(1.0, 100.0), tol=1e-6)
    np.testing.assert_array_equal(fits[1].weights_SLDC, plain.weights_SLDC)


def test_streamed_rows_are_never_copied_whole(tmp_path):
    """64 MB of rows in blocks of 4 MB: what torch allocates at once stays far below them."""
    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (250_000, 64))
    for start in range(0, len(x), 50_000):
        x[start : start + 50_000] = rng.standard_normal((50_000, 64))
    y = (x[:, 0] + x[:, 1] > 0).astype(int)
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as record:
        path = fit_path(x, y, penalties=(1e4,), max_memory=1 << 20, tol=1e-3)
    largest = max(e.self_cpu_memory_usage / max(1, e.count) for e in record.key_averages())
    assert largest < x.nbytes / 2
    assert path.converged_SL.all()
    assert (predict(path, x[:1000])[0, 0] == y[:1000]).mean() > 0.97


def test_subsets_of_several_lengths_are_fits_of_their_own(digits):
    x, y = digits[0].astype(float), digits[1] % 3
    rng = np.random.default_rng(0)
    subsets = [rng.choice(700, 40, replace=False), rng.choice(700, 150), np.arange(90)]  # the second has rows twice
    together = fit_subsets(x, y, subsets, penalties=(0.5, 5.0), tol=1e-9)
    for s, rows in enumerate(subsets):
        alone = fit_path(x[rows], y[rows], classes=3, penalties=(0.5, 5.0), tol=1e-9)
        np.testing.assert_allclose(together.weights_SLDC[s], alone.weights_SLDC[0], atol=1e-6)
        np.testing.assert_allclose(together.objective_SL[s], alone.objective_SL[0], rtol=1e-8)


@pytest.mark.parametrize("memory", [1, 1 << 30])  # each subset alone, and all together
def test_the_mean_form_of_subsets_wants_one_size(digits, monkeypatch, memory):
    monkeypatch.setattr("relic_eval.probes.logistic.MEMORY", memory)
    x, y = digits[0].astype(float), digits[1] % 3
    with pytest.raises(ArgumentError, match="subsets of one size"):
        fit_subsets(x, y, [np.arange(40), np.arange(90)], penalties=(0.1,), mean_form=True)
    mean = fit_subsets(x, y, [np.arange(40), np.arange(40, 80)], penalties=(0.1,), mean_form=True, tol=1e-8)
    summed = fit_subsets(x, y, [np.arange(40), np.arange(40, 80)], penalties=(4.0,), tol=1e-8)
    np.testing.assert_allclose(mean.weights_SLDC, summed.weights_SLDC, atol=1e-6)
    np.testing.assert_allclose(mean.objective_SL * 40, summed.objective_SL, rtol=1e-8)


def test_rows_of_many_subsets_stay_within_the_memory(digits, monkeypatch):
    """Two penalties of two classes are small points, but their rows are copied for each subset."""
    x, y = digits[0], digits[1] % 2
    made = []
    init = Rows.__init__
    monkeypatch.setattr(Rows, "__init__", lambda self, x, *a: made.append(x.shape[0]) or init(self, x, *a))
    monkeypatch.setattr("relic_eval.probes.logistic.MAX_MEMORY", 2 * 2 * 4 * 100 * 64)  # twice the rows of two of them
    path = fit_subsets(x, y, [np.arange(s, s + 100) for s in range(5)], penalties=(1.0,))
    assert made == [2, 2, 1]
    assert path.converged_SL.shape == (5, 1)


def test_several_labels_are_one_binary_fit_a_class(digits):
    x, digit = digits[0][:500].astype(float), digits[1][:500]
    y = np.stack([digit % 2 == 0, digit > 4, digit == 3], 1)
    path = fit_multilabel(x, y, penalties=(0.5, 20.0), tol=1e-9)
    assert path.converged_SL.all()
    for place, lam in enumerate((0.5, 20.0)):
        for c in range(3):
            model = minimum(x, y[:, c].astype(int), lam)
            np.testing.assert_allclose(path.weights_SLDC[0, place, :, c], model.coef_[0], atol=1e-5)
            np.testing.assert_allclose(probabilities(path, x)[0, place, :, c], model.predict_proba(x)[:, 1], atol=1e-6)
    np.testing.assert_array_equal(predict(path, x), probabilities(path, x) > 0.5)


def test_the_smallest_penalties_do_not_stop_where_they_test_worse(digits):
    """Noise columns among the features: a cold start separates the training rows with their help."""
    rng = np.random.default_rng(0)
    x, y = digits
    x = np.concatenate([x, 0.3 * rng.standard_normal((len(x), 200))], 1).astype("f")
    path = fit_path(x[:800], y[:800])
    right = (predict(path, x[800:])[0] == y[800:]).mean(1)
    model = minimum(x[:800], y[:800], 1e-3)
    assert right[:12].min() >= model.score(x[800:].astype(float), y[800:]) - 0.02
    cold = [fit_path(x[:800], y[:800], penalties=(lam,)) for lam in PENALTIES[:12:4]]
    for lam, fit in zip(PENALTIES[:12:4], cold, strict=True):
        place = PENALTIES.index(lam)
        assert path.objective_SL[0, place] <= fit.objective_SL[0, 0] * 1.001


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(2, 40), d=st.integers(1, 12), classes=st.integers(2, 5), seed=st.integers(0, 1000),
    kind=st.sampled_from(["f4", "f8", "f2", "i4"]), ties=st.booleans(),
)  # fmt: skip
def test_any_rows_end_certified_or_say_that_they_did_not(n, d, classes, seed, kind, ties):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (n, d)).astype(kind) if ties else (3 * rng.normal(size=(n, d))).astype(kind)
    y = rng.integers(0, classes, n)
    y[:2] = 0, 1
    before = x.copy()
    path = fit_path(x, y, classes=classes, penalties=(0.1, 1.0, 50.0), tol=1e-4)
    assert path.converged_SL.all()
    np.testing.assert_array_equal(x, before)
    order = rng.permutation(n)
    other = fit_path(x[order], y[order], classes=classes, penalties=(0.1, 1.0, 50.0), tol=1e-4)
    np.testing.assert_allclose(other.objective_SL, path.objective_SL, rtol=2e-2, atol=1e-2)
    for place, lam in enumerate((0.1, 1.0, 50.0)):
        value = objective(path.weights_SLDC[0, place].astype(float), path.bias_SLC[0, place].astype(float), lam, x, y)
        assert path.objective_SL[0, place] == pytest.approx(value, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_softmax_block_against_autograd(kind):
    z = (20 * torch.randn(2, 3, 4, 50, generator=torch.Generator().manual_seed(0))).to(kind)
    y = torch.randint(0, 4, (2, 50), generator=torch.Generator().manual_seed(1))
    w = torch.rand(2, 50, generator=torch.Generator().manual_seed(2)).to(kind)
    exact = z.double().requires_grad_()
    loss = -(
        torch.log_softmax(exact, 2).gather(2, y[:, None, None].expand(-1, 3, 1, -1))[:, :, 0] * w[:, None].double()
    )
    loss.sum().backward()
    ours, curvature, residual = links.softmax(z.clone(), y, w)
    torch.testing.assert_close(ours, loss.sum(2).detach(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(residual.double(), exact.grad, rtol=2e-5, atol=1e-15)
    p = torch.softmax(exact.detach(), 2)
    torch.testing.assert_close(curvature, (p * (1 - p) * w[:, None, None]).sum((2, 3)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_sigmoid_block_against_autograd(kind):
    z = (20 * torch.randn(2, 3, 4, 50, generator=torch.Generator().manual_seed(0))).to(kind)
    y = torch.randint(0, 2, (2, 4, 50), generator=torch.Generator().manual_seed(1)).to(kind)
    w = torch.rand(2, 50, generator=torch.Generator().manual_seed(2)).to(kind)
    exact, answer = z.double().requires_grad_(), y[:, None].double()
    loss = torch.nn.functional.softplus((1 - 2 * answer) * exact, threshold=50) * w[:, None, None].double()
    loss.sum().backward()
    ours, curvature, residual = links.sigmoid(z.clone(), y, w)
    torch.testing.assert_close(ours, loss.sum((2, 3)).detach(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(residual.double(), exact.grad, rtol=2e-5, atol=1e-15)
    p = exact.detach().sigmoid()
    torch.testing.assert_close(curvature, (p * (1 - p) * w[:, None, None]).sum((2, 3)), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_a_certain_label_keeps_its_digits(answer):
    """Next to nothing is left of the loss of either answer in float32, but not nothing."""
    z = torch.full((1, 1, 1, 1), 25.0 if answer else -25.0)
    loss, curvature, residual = links.sigmoid(z, torch.full((1, 1, 1), answer), None)
    assert loss.item() == pytest.approx(np.exp(-25.0), rel=1e-5)
    assert curvature.item() == pytest.approx(np.exp(-25.0), rel=1e-5)
    assert residual.item() == pytest.approx(np.exp(-25.0) * (-1 if answer else 1), rel=1e-5)


def test_a_certain_row_keeps_its_digits():
    """p = 1 - 2e-11 in float32: the loss is 2e-11 and not 0."""
    loss, curvature, residual = links.softmax(
        torch.tensor([25.0, 0.0, 0.0]).view(1, 1, 3, 1), torch.tensor([[0]]), None
    )
    assert loss.item() == pytest.approx(2 * np.exp(-25.0), rel=1e-5)
    assert curvature.item() == pytest.approx(4 * np.exp(-25.0), rel=1e-5)
    assert residual[0, 0, 0, 0].item() == pytest.approx(-2 * np.exp(-25.0), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"penalties": (1.0, 0.0)}, "above 0"),
        ({"penalties": ()}, "above 0"),
        ({"penalties": 1.0}, "above 0"),
        ({"penalties": ("a",)}, "above 0"),
        ({"classes": 3}, "labels from 0 to 2"),
        ({"classes": 10.0}, "whole number of at least 2"),
        ({"weight_N": np.full(100, -1.0)}, "at least 0"),
        ({"weight_N": np.ones(99)}, "one a row"),
        ({"weight_N": np.ones((100, 1))}, "one a row"),
        ({"weight_N": np.zeros(100)}, "not all of them 0"),
        ({"weight_N": np.full(100, np.nan)}, "finite"),
    ],
)
def test_bad_settings_say_what_was_expected(digits, change, words):
    with pytest.raises(ArgumentError, match=words):
        inspect.unwrap(fit_path)(digits[0][:100], digits[1][:100], **change)


def test_bad_subsets_and_bad_labels_are_refused(digits):
    x, y = digits[0][:50], digits[1][:50]
    # a mask would be taken for the rows 0 and 1, many times over
    for rows in (np.array([0, 50]), np.array([-1, 3]), y < 5, np.array([], int), np.array([0.0, 1.0])):
        with pytest.raises(ArgumentError, match="rows_SM: expected numbers of rows, from 0 to 49"):
            fit_subsets(x, y, [np.arange(40), rows])
    with pytest.raises(ArgumentError, match="rows_SM"):
        fit_subsets(x, y, [])
    with pytest.raises(ArgumentError, match="at least two classes"):
        fit_path(x, y, weight_N=(y == 3).astype(float))
    with pytest.raises(ArgumentError, match="column 1"):
        fit_multilabel(x, np.stack([y > 4, y >= 0], 1))
    with pytest.raises(ArgumentError, match="0 and 1"):
        fit_multilabel(x, y[:, None])
    with pytest.raises(ArgumentError, match="64 columns, as the probe was fitted on"):
        inspect.unwrap(predict)(fit_path(x, y, penalties=(1.0,)), x[:, :3])
