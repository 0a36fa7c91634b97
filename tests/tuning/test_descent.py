"""The loop, its learning rate, decay and statistics, against hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from relic_eval.tuning.descent import Descent, descend, norm_weight, rate
from relic_eval.tuning.feed import batches, generator
from relic_eval.tuning.finetune import DECAYS, RATES, FineTune
from relic_eval.tuning.grid import best
from relic_eval.tuning.segment_fcn import RATES as FCN_RATES


@pytest.mark.parametrize(
    ("rows", "batch", "keep"),
    [(50_000, 256, 1 - 10 / 195.3125), (1_020, 256, 0.9), (25_600, 256, 0.9), (75_750, 256, 0.966204620462)],
)
def test_statistics_move_by_the_rule_of_the_paper(rows, batch, keep):
    assert norm_weight(rows, batch) == pytest.approx(1 - keep, abs=1e-11)


def test_a_descent_sets_the_weight_of_every_norm_and_trains_what_was_frozen():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3)).requires_grad_(False).eval()
    x = torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    before = model[0].weight.clone()
    mean = model[0](x).detach().mean(0)
    descend(model, (model(x)[:, 0].sum() + model[0].weight.sum() for _ in range(1)), Descent(1, 0.1, norm=0.0512), "t")
    assert [layer.momentum for layer in model[1:]] == [0.0512, 0.0512]
    torch.testing.assert_close(model[1].running_mean, 0.0512 * mean)
    assert not torch.equal(model[0].weight, before)


@pytest.mark.parametrize("lr", [1e-4, 1e-1])
def test_a_decay_divided_by_the_rate_takes_the_same_share_of_the_weights_at_any_rate(lr):
    plan, batch = FineTune(steps=1)._plan({"learning_rate": lr, "decay": 1e-3}, 100)
    assert (plan.decay, batch) == (pytest.approx(1e-3 / lr), 100)
    model = nn.Linear(3, 2)
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    still = Descent(1, lr, plan.decay, momentum=0.0, nesterov=False)
    descend(model, (0.0 * (model.weight.sum() + model.bias.sum()) for _ in range(1)), still, "t")
    torch.testing.assert_close(model.weight.detach(), weight * (1 - 1e-3))
    assert torch.equal(model.bias.detach(), bias)  # intercepts do not decay


def test_the_grids_are_those_of_the_papers():
    assert np.allclose(RATES, 10.0 ** np.arange(-4, -0.9, 0.5), rtol=1e-5)
    assert DECAYS[0] == 0
    assert np.allclose(DECAYS[1:], 10.0 ** np.arange(-6, -2.9, 0.5), rtol=1e-5)
    assert np.allclose(FCN_RATES, 10.0 ** np.arange(-3, -0.9, 0.5), rtol=1e-5)
    assert len(RATES) * len(DECAYS) == 56


def test_rates_fall_along_half_a_cosine_or_in_two_drops():
    assert [rate(Descent(1000, 2.0), step) for step in (0, 500)] == [2.0, pytest.approx(1.0)]
    assert rate(Descent(1000, 2.0), 999) == pytest.approx(2.0 * (np.pi / 2000) ** 2, rel=1e-3)
    drops = Descent(30_000, 1.0, drops=(0.7, 0.9))
    steps = (20_999, 21_000, 26_999, 27_000)
    assert [rate(drops, step) for step in steps] == pytest.approx([1.0, 0.1, 0.1, 0.01])


def test_steps_are_those_of_torch_with_nesterov_momentum():
    torch.manual_seed(1)
    model, twin = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    twin.load_state_dict(model.state_dict())
    x = torch.randn(5, 4, 3)
    kept = descend(model, (model(x[step]).square().mean() for step in range(5)), Descent(5, 0.1, 0.01), "t")
    weight, speed = twin.weight.detach().clone(), torch.zeros(1, 3)
    for step in range(5):
        error = x[step] @ weight.T
        g = 2 * (error * x[step]).mean(0, keepdim=True) + 0.01 * weight
        speed = 0.9 * speed + g
        weight = weight - 0.1 * 0.5 * (1 + np.cos(np.pi * step / 5)) * (g + 0.9 * speed)
    torch.testing.assert_close(model.weight.detach(), weight.float())
    assert [step for step, _ in kept] == [0, 1, 2, 3, 4]


def test_a_run_draws_from_its_seed_and_leaves_the_global_state():
    def losses(model, seen):
        for _ in range(3):
            y = model(torch.ones(4, 8))
            seen.append(y.detach().clone())
            yield y.square().mean()

    runs = []
    for state in (3, 4):
        torch.manual_seed(state)
        model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5))
        model.load_state_dict({"0.weight": torch.eye(8), "0.bias": torch.zeros(8)})
        before, seen = torch.get_rng_state(), []
        descend(model, losses(model, seen), Descent(3, 0.1, seed=5), "t")
        assert torch.equal(torch.get_rng_state(), before)
        runs.append(torch.stack(seen))
    assert torch.equal(*runs)
    assert not torch.equal(runs[0][0], runs[0][1])


def test_a_loss_that_leaves_the_numbers_ends_a_run():
    model = nn.Linear(1, 1)
    assert descend(model, (model.weight.sum() / 0 for _ in range(3)), Descent(3, 0.1), "t") is None


def test_every_pass_has_every_picture_once_and_seeds_differ():
    made = batches(7, 3, 7, seed=0)
    assert [len(b) for b in made] == [3] * 7
    order = np.concatenate(made)
    assert all(sorted(order[start : start + 7]) == list(range(7)) for start in (0, 7, 14))
    assert not np.array_equal(order, np.concatenate(batches(7, 3, 7, seed=1)))
    draws = {float(torch.rand(1, generator=generator(seed, step))) for seed in (0, 1) for step in (0, 1)}
    assert len(draws) == 4


def test_of_ties_the_gentlest_point_is_taken():
    points = [{"lr": 0.1, "decay": 0.0}, {"lr": 0.01, "decay": 0.0}, {"lr": 0.01, "decay": 0.5}]
    assert best(points, [0.5, 0.5, 0.5], ["lr", "-decay"]) == 2
    assert best(points, [0.6, 0.5, None], ["lr", "-decay"]) == 0
    with pytest.raises(ValueError, match="expected one at which the loss stays finite, received none"):
        best(points, [None] * 3, ["lr"])
