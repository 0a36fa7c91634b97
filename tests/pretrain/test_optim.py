"""LARS against the published arithmetic step by step, and the schedules."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from pretrain.optim import Lars, make_optimizer, rate


def slow_lars(weights, gradients, moments, lr, decay, adapted, momentum=0.9, eta=1e-3):
    """byol/utils/optimizers.py in NumPy, one array at a time: decay, then the trust ratio, then momentum, then the rate."""
    for name, g in gradients.items():
        w = weights[name]
        if adapted[name]:
            g = g + decay * w
            lengths = np.linalg.norm(w), np.linalg.norm(g)
            g = g * (eta * lengths[0] / lengths[1] if min(lengths) > 0 else 1.0)
        moments[name] = momentum * moments[name] + g
        weights[name] = w - lr * moments[name]


def test_every_step_is_the_published_one():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2, bias=False), nn.Linear(2, 2)
    ).double()
    nn.init.zeros_(model[4].weight)  # a length of 0: its gradient goes through as it is
    optimizer = make_optimizer(model, "lars", 0.5, 0.01)
    weights = {n: p.detach().numpy().copy() for n, p in model.named_parameters()}
    moments = {n: np.zeros_like(w) for n, w in weights.items()}
    adapted = {n: p.ndim > 1 for n, p in model.named_parameters()}
    assert sorted(adapted.values()) == [False] * 4 + [True] * 3
    for step in range(6):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 / (step + 1)
        optimizer.zero_grad()
        model(torch.randn(4, 2, 4, 4, dtype=torch.float64)).square().sum().backward()
        gradients = {n: p.grad.numpy().copy() for n, p in model.named_parameters()}
        slow_lars(weights, gradients, moments, 0.5 / (step + 1), 0.01, adapted)
        optimizer.step()
        for name, p in model.named_parameters():
            np.testing.assert_allclose(p.detach().numpy(), weights[name], rtol=1e-12, atol=1e-15, err_msg=name)


def test_two_steps_by_hand():
    w = nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    optimizer = Lars([{"params": [w], "weight_decay": 1.0}], lr=1.0, trust=0.1)
    w.grad = torch.tensor([[-3.0, 6.0]], dtype=torch.float64)
    optimizer.step()  # with decay (0, 10): times 0.1 * 5 / 10 is (0, 0.5)
    assert w.flatten().tolist() == pytest.approx([3.0, 3.5])
    w.grad = -w.detach()
    optimizer.step()  # nothing is left of the gradient, so the momentum 0.9 * 0.5 moves alone
    assert w.flatten().tolist() == pytest.approx([3.0, 3.05])


def test_biases_and_norms_are_neither_adapted_nor_decayed():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    for name in ("adamw", "lars"):
        groups = make_optimizer(model, name, 0.1, 0.5).param_groups
        assert [[p.ndim for p in g["params"]] for g in groups] == [[2], [1, 1, 1]]
        assert [g["weight_decay"] for g in groups] == [0.5, 0.0]


def test_a_state_that_was_saved_goes_on():
    torch.manual_seed(0)
    one = nn.Linear(3, 2)
    first = make_optimizer(one, "lars", 0.1, 0.0)
    one(torch.ones(1, 3)).sum().backward()
    first.step()
    two = copy.deepcopy(one)
    second = make_optimizer(two, "lars", 0.1, 0.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for model, optimizer in ((one, first), (two, second)):
        optimizer.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(two.weight, one.weight, rtol=0, atol=0)


def test_the_rate_rises_and_falls():
    """As published but for the warm-up, base * step / warm-up there: a first step at a rate of 0 would learn nothing."""
    rates = [rate(step, 100, 2.0, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10:] == pytest.approx([1 + np.cos(np.pi * step / 90) for step in range(90)])
