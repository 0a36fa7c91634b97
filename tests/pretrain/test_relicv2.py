"""RELICv2's loss against the written-out formula, one image and one pair at a time, and what any reading must satisfy."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from pretrain.batch import Batch
from pretrain.config import Relicv2
from pretrain.likelihood import divergence, sample_candidates
from pretrain.methods.relicv2 import relicv2_loss, remove_background, views
from relic_eval.views import Draw


def draw(total, seed=0):
    return Draw(torch.Generator().manual_seed(seed), total)


def made(views=3, large=2, batch=6, dims=5):
    g = torch.Generator().manual_seed(0)
    online = [torch.randn(batch, dims, generator=g, dtype=torch.float64).requires_grad_() for _ in range(views)]
    target = [torch.randn(batch, dims, generator=g, dtype=torch.float64) for _ in range(large)]
    return online, target, sample_candidates(Draw(g, batch), 3)


def slow(online, target, candidates, tau, alpha, beta, small="next_large"):
    """From the formula, a loop over pairs, images and candidates; the stopped entropy is written out."""

    def p(v, j, i):
        phi = [F.cosine_similarity(online[v][i], target[j][c], dim=0) / tau for c in candidates[i].tolist()]
        total = torch.stack(phi).exp().sum()
        return torch.stack([x.exp() / total for x in phi])

    large, terms = len(target), []
    for v in range(len(online)):
        for j in range(large):
            for i in range(len(candidates)):
                mine = p(v, j, i)
                other = p(j, v, i) if v < large else p((j + 1) % large, j, i)
                kl = (mine * mine.log()).sum().detach() - (mine * other.log()).sum()
                left_out = v == j or (v >= large and small == "none")
                terms.append(-alpha * mine[0].log() + beta * (0 if left_out else kl))
    assert len(terms) == len(online) * large * len(candidates)
    return sum(terms) / len(terms)


@pytest.mark.parametrize("small", ["next_large", "none"])
def test_value_and_gradient_equal_the_written_out_formula(small):
    online, target, candidates = made()
    fast = relicv2_loss(online, target, candidates, tau=0.3, alpha=0.7, beta=1.3, small=small)["loss"]
    expected = slow(online, target, candidates, 0.3, 0.7, 1.3, small)
    torch.testing.assert_close(fast, expected)
    for a, b in zip(torch.autograd.grad(fast, online), torch.autograd.grad(expected, online), strict=True):
        torch.testing.assert_close(a, b)


def test_equal_embeddings_give_log_of_one_plus_negatives():
    x, candidates = torch.ones(12, 4), sample_candidates(draw(12, 0), 10)
    terms = relicv2_loss([x, x, x], [x, x], candidates, tau=0.3, alpha=1.0, beta=1.0)
    assert terms["contrastive"].item() == pytest.approx(math.log(11), abs=1e-5)
    assert terms["invariance"].item() == pytest.approx(0, abs=1e-6)


def test_the_divergence_is_0_where_both_sides_agree_and_above_it_where_not():
    """Views that a network does not tell apart, large and small: no pair has anything to exchange."""
    (x, y), _, candidates = made(views=2, large=1)
    same = relicv2_loss([x, x, x], [x, x], candidates, tau=0.3, alpha=1.0, beta=1.0)
    assert same["invariance"].item() == pytest.approx(0, abs=1e-6)
    other = relicv2_loss([x, x, y], [x, x], candidates, tau=0.3, alpha=1.0, beta=1.0)
    assert other["invariance"].item() > 1e-3


def test_all_negatives_without_invariance_is_infonce():
    online, target, _ = made(views=1, large=1)
    everyone = sample_candidates(draw(6, 1), 5)
    loss = relicv2_loss(online, target, everyone, tau=0.2, alpha=1.0, beta=0.0)["loss"]
    logits = F.normalize(online[0], dim=1) @ F.normalize(target[0], dim=1).T / 0.2
    torch.testing.assert_close(loss, F.cross_entropy(logits, torch.arange(6)))


def test_the_entropy_of_the_anchor_is_stopped():
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    log_p = F.log_softmax(x, 1)
    log_q = F.log_softmax(torch.ones_like(x).cumsum(1), 1)
    (got,) = torch.autograd.grad(divergence(log_p, log_q, "sg_entropy"), x, retain_graph=True)
    (cross,) = torch.autograd.grad(-(log_p.exp() * log_q).sum(1).mean(), x, retain_graph=True)
    (full,) = torch.autograd.grad((log_p.exp() * (log_p - log_q)).sum(1).mean(), x)
    torch.testing.assert_close(got, cross)
    assert not torch.allclose(got, full)
    assert divergence(log_p, log_q, "sg_entropy").item() == pytest.approx(
        F.kl_div(log_q, log_p, reduction="batchmean", log_target=True).item()
    )


def test_permuting_the_batch_with_its_candidates_changes_nothing():
    online, target, candidates = made()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    place = torch.argsort(order)
    moved = relicv2_loss(
        [x[order] for x in online], [x[order] for x in target], place[candidates[order]], tau=0.3, alpha=1.0, beta=1.0
    )
    torch.testing.assert_close(
        moved["loss"], relicv2_loss(online, target, candidates, tau=0.3, alpha=1.0, beta=1.0)["loss"]
    )


def test_candidates_are_the_row_itself_and_different_others():
    candidates = sample_candidates(draw(50, 0), 10)
    assert candidates[:, 0].tolist() == list(range(50))
    assert all(len(set(row)) == 11 for row in candidates.tolist())


@pytest.mark.parametrize(("p", "share"), [(0.0, 0.0), (1.0, 1.0), (0.1, 0.1)])
def test_backgrounds_go_with_probability_p_mask(p, share):
    x, mask = torch.ones(2000, 1, 4, 4), torch.zeros(2000, 1, 4, 4, dtype=torch.bool)
    mask[:, :, 1:3, 1:3] = True
    batch = Batch(x, torch.zeros(2000), mask, torch.full((1, 1, 1, 1), 0.25))
    out = remove_background(x, batch, Relicv2(p_mask=p), draw(2000))
    removed = (out[:, 0, 0, 0] == 0).float().mean().item()
    assert removed == pytest.approx(share, abs=0.03)
    assert (out[:, 0, 1, 1] == 1).all()


def test_the_background_is_black_or_the_mean_colour():
    x, mask = torch.ones(3, 2, 4, 4), torch.zeros(3, 1, 4, 4, dtype=torch.bool)
    batch = Batch(x, torch.zeros(3), mask, torch.tensor([0.25, 0.5]).view(1, 2, 1, 1))
    for background, expected in (("zero", [0.0, 0.0]), ("mean", [0.25, 0.5])):
        out = remove_background(x, batch, Relicv2(p_mask=1.0, background=background), draw(3))
        assert out[0, :, 0, 0].tolist() == expected


def test_large_and_small_crops():
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, torch.zeros(4), torch.ones(4, 1, 28, 28, dtype=torch.bool), torch.zeros(1, 1, 1, 1))
    crops = views(Relicv2(large=4, small=2), batch, draw(4))
    assert [c.shape[-1] for c in crops] == [28] * 4 + [20] * 2


@pytest.mark.parametrize(("large", "small"), [(4, 2), (2, 0), (2, 3)])
def test_there_are_as_many_terms_as_pairs_of_an_online_view_and_a_large_one(large, small):
    """With one direction of all terms turned into its own number, the mean tells how many there are."""
    x = [torch.eye(4, dtype=torch.float64) for _ in range(large + small)]
    everyone = sample_candidates(draw(4), 0)
    one = relicv2_loss(x, x[:large], everyone, tau=1.0, alpha=1.0, beta=0.0)["loss"]
    y = [x[0] * 2, *x[1:-1], torch.ones(4, 4, dtype=torch.float64)]  # the last view tells nothing apart
    other = relicv2_loss(y, y[:large], everyone, tau=1.0, alpha=1.0, beta=0.0)["loss"]
    worse = math.log(4) - one.item()  # of each pair with the last view
    pairs = large if small else 2 * large - 1  # it is an online view, and a target of all where it is large
    assert (other - one).item() == pytest.approx(worse * pairs / ((large + small) * large))


def test_no_gradient_reaches_the_target():
    """Even where it could take one, and the online network's is that of targets worked out beforehand."""
    from pretrain.batch import Batch
    from pretrain.config import override
    from pretrain.methods import method
    from pretrain.target import make_target
    from pretrain.train import build_online

    config = override(Relicv2(), {"hidden": 16, "out": 8, "side": 12, "small_side": 8})
    online = build_online(config, 1, 2)
    way = method("relicv2")
    target = make_target(online, way.averaged(config)).requires_grad_(True)
    x = torch.rand(16, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    batch = Batch(x, torch.zeros(16), torch.ones(16, 1, 1, 1, dtype=torch.bool), torch.zeros(1, 1, 1, 1))
    crops = way.views(config, batch, draw(16))
    for p in target.parameters():
        p.data.add_(0.01)  # elsewhere than the online network
    parameters = list(online.parameters())
    fixed = [copy.deepcopy(target)["projector"](target["encoder"](x)).detach() for x in crops[:2]]
    outputs = [online["predictor"](online["projector"](online["encoder"](x))) for x in crops]
    expected = relicv2_loss(outputs, fixed, sample_candidates(draw(16), 10), tau=0.3, alpha=1.0, beta=1.0)["loss"]
    wanted = torch.autograd.grad(expected, parameters)
    way.loss(config, crops, batch, online, target, draw(16))["loss"].backward()
    assert all(p.grad is None for p in target.parameters())
    for p, gradient in zip(parameters, wanted, strict=True):
        torch.testing.assert_close(p.grad, gradient, atol=1e-6, rtol=1e-4)
    assert all(p.grad is not None and p.grad.any() for n, p in online.named_parameters() if p.ndim > 1), (
        "all of it learns"
    )


def test_masks_stick_where_they_are_asked_to():
    x, mask = torch.ones(4000, 1, 8, 8), torch.zeros(4000, 1, 8, 8, dtype=torch.bool)
    mask[:, :, 3:5, 3:5] = True
    batch = Batch(x, torch.zeros(4000), mask, torch.zeros(1, 1, 1, 1))
    plain = {
        "area_low": 1.0,
        "small_area_low": 1.0,
        "small_area_high": 1.0,
        "pad": 0.0,
        "blur": (0.0,),
        "solarise": (0.0,),
    }
    plain |= {"brightness": 0.0, "contrast": 0.0, "side": 8, "small_side": 8, "large": 3, "small": 1, "p_mask": 0.3}
    for sticky, shares in (("off", (0.3, 0.3, 0.3, 0.0)), ("on", (0.3, 0.51, 0.657, 0.657))):
        crops = views(Relicv2(**plain, sticky=sticky), batch, draw(4000))
        assert [(c[:, 0, 0, 0] < 0.5).float().mean().item() for c in crops] == pytest.approx(shares, abs=0.03)


def test_a_grey_background_is_drawn_for_each_picture():
    x, mask = torch.ones(500, 2, 4, 4), torch.zeros(500, 1, 4, 4, dtype=torch.bool)
    batch = Batch(x, torch.zeros(500), mask, torch.zeros(1, 2, 1, 1))
    out = remove_background(x, batch, Relicv2(p_mask=1.0, background="grey"), draw(500))
    assert torch.equal(out[:, 0], out[:, 1])
    assert torch.equal(out.amax((1, 2, 3)), out.amin((1, 2, 3)))
    assert out[:, 0, 0, 0].std() == pytest.approx(12**-0.5, abs=0.02)
