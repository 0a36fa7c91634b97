"""SimCLR and RELIC against the written-out formulas, one picture at a time, and what any reading of them must satisfy."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from pretrain.likelihood import divergence, log_likelihoods, sample_candidates
from pretrain.methods.relic import relic_loss
from pretrain.methods.simclr import nt_xent
from relic_eval.views import Draw


def rows(count, batch=6, dims=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, dims, generator=g, dtype=torch.float64).requires_grad_() for _ in range(count)]


def draw(total, seed=0):
    return Draw(torch.Generator().manual_seed(seed), total)


def cosine(a, b):
    return (a @ b) / (a.norm() * b.norm())


def test_nt_xent_is_its_formula():
    a, b = rows(2)
    z = [*a, *b]
    terms = []
    for i in range(12):
        others = torch.stack([cosine(z[i], z[k]) / 0.1 for k in range(12) if k != i])
        terms.append(-(cosine(z[i], z[(i + 6) % 12]) / 0.1 - others.logsumexp(0)))
    expected = sum(terms) / 12
    found = nt_xent(a, b, 0.1)
    torch.testing.assert_close(found, expected)
    for x, y in zip(torch.autograd.grad(found, [a, b]), torch.autograd.grad(expected, [a, b]), strict=True):
        torch.testing.assert_close(x, y)


def test_nt_xent_is_lightlys():
    loss = pytest.importorskip("lightly.loss").NTXentLoss(temperature=0.2)
    a, b = rows(2, batch=9)
    torch.testing.assert_close(nt_xent(a, b, 0.2), loss(a, b))


def test_views_that_are_all_alike_give_the_logarithm_of_the_others():
    x = torch.ones(8, 3)
    assert nt_xent(x, x, 0.5).item() == pytest.approx(math.log(15), abs=1e-5)
    terms = relic_loss([x, x], [x, x], sample_candidates(draw(8), 0), tau=0.1, alpha=5.0)
    assert terms["contrastive"].item() == pytest.approx(math.log(8), abs=1e-5)
    assert terms["invariance"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("negatives", [0, 3])
def test_relic_is_its_formula(negatives):
    """Equation 3: softmaxes over instances from two pairs of augmentations, and their divergence both ways."""
    online, other = rows(2), rows(2, seed=1)
    candidates = sample_candidates(draw(6), negatives)

    def p(a, b, i):
        phi = torch.stack([cosine(online[a][i], other[b][j]) / 0.3 for j in candidates[i].tolist()])
        return phi.exp() / phi.exp().sum()

    terms = []
    for i in range(6):
        for a, b in ((0, 1), (1, 0)):
            mine, swapped = p(a, b, i), p(b, a, i)
            terms.append(-mine[0].log() + 0.7 * (mine * (mine / swapped).log()).sum())
    expected = sum(terms) / 12
    found = relic_loss(online, other, candidates, tau=0.3, alpha=0.7)["loss"]
    torch.testing.assert_close(found, expected)
    wanted = [*online, *other]
    for x, y in zip(torch.autograd.grad(found, wanted), torch.autograd.grad(expected, wanted), strict=True):
        torch.testing.assert_close(x, y)


def test_views_that_agree_have_no_divergence():
    (x,) = rows(1)
    terms = relic_loss([x, x], [x, x], sample_candidates(draw(6), 0), tau=0.3, alpha=1.0)
    assert terms["invariance"].item() == pytest.approx(0, abs=1e-12)


def test_the_other_picture_order_changes_nothing():
    online, other = rows(2), rows(2, seed=1)
    everyone = sample_candidates(draw(6), 0)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    moved = relic_loss([x[order] for x in online], [x[order] for x in other], everyone, tau=0.3, alpha=1.0)["loss"]
    torch.testing.assert_close(moved, relic_loss(online, other, everyone, tau=0.3, alpha=1.0)["loss"])


def test_ways_to_differentiate_the_divergence_have_one_value_and_three_gradients():
    """Each is held against the expression it stands for."""
    x, y = rows(2, batch=4, dims=3)
    log_p, log_q = F.log_softmax(x, 1), F.log_softmax(y, 1)
    p = log_p.exp()
    meant = {
        "full": (p * (log_p - log_q)).sum(1).mean(),
        "sg_entropy": -(p * log_q).sum(1).mean(),
        "detach_anchor": -(p.detach() * log_q).sum(1).mean(),
    }
    value = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    gradients = {}
    for grad, expression in meant.items():
        found = divergence(log_p, log_q, grad)
        torch.testing.assert_close(found, value)
        inputs = {"allow_unused": True, "materialize_grads": True, "retain_graph": True}
        gradients[grad] = torch.autograd.grad(found, [x, y], **inputs)
        for a, b in zip(gradients[grad], torch.autograd.grad(expression, [x, y], **inputs), strict=True):
            torch.testing.assert_close(a, b)
    assert not gradients["detach_anchor"][0].any()
    assert not torch.allclose(gradients["full"][0], gradients["sg_entropy"][0])


@pytest.mark.parametrize(("total", "negatives"), [(12, 3), (12, 10), (5, 4), (5, 0), (300, 1)])
def test_candidates_are_the_picture_and_different_others(total, negatives):
    found = sample_candidates(draw(total), negatives)
    assert found.shape == (total, 1 + (negatives or total - 1))
    assert found[:, 0].tolist() == list(range(total))
    assert all(len(set(row)) == len(row) and min(row) >= 0 and max(row) < total for row in found.tolist())


def test_every_set_of_others_is_as_likely_as_any():
    """Chi-square over all pairs of others of one picture out of six: ten sets."""
    from scipy.stats import chisquare

    counts: dict[tuple[int, ...], int] = {}
    numbers = draw(6)
    for _ in range(3000):
        key = tuple(sorted(sample_candidates(numbers, 2)[2, 1:].tolist()))
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 10
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_a_rank_draws_its_rows_of_the_whole():
    whole = sample_candidates(draw(8), 3)
    part = sample_candidates(Draw(torch.Generator().manual_seed(0), 8, slice(4, 8)), 3)
    assert torch.equal(part, whole[4:])


def test_likelihoods_are_those_of_each_pair():
    online, other = rows(3), rows(2, seed=1)
    candidates = sample_candidates(draw(6), 4)
    log_p = log_likelihoods(online, other, candidates, 0.2)
    assert log_p.shape == (3, 2, 6, 5)
    phi = torch.stack([cosine(online[2][3], other[1][j]) / 0.2 for j in candidates[3].tolist()])
    torch.testing.assert_close(log_p[2, 1, 3], F.log_softmax(phi, 0))
