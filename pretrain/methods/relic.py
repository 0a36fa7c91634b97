"""RELIC (Mitrovic et al. 2021, arXiv 2010.07922): likelihood of the other view, and likeness of the views' distributions.

Equation 3 for two views, averaged over both directions and the batch: -log p(x_i; a, b) at i, plus alpha times
KL(p(x_i; a, b) || p(x_i; b, a)). These are distributions over instances from two pairs of augmentations, not the rows and
the columns of one matrix. Nothing is stopped: the divergence is differentiated on both sides.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pretrain.batch import Batch, crop
from pretrain.config import Relic
from pretrain.heads import critic, projector_and_predictor
from pretrain.likelihood import divergence, log_likelihoods, sample_candidates
from pretrain.norms import of_each
from pretrain.ranks import joined
from relic_eval.views import Draw


def averaged(config: Relic) -> tuple[str, ...]:
    """Encoder and projector, as in BYOL; nothing where both sides are the same network."""
    return ("encoder", "projector") if config.target == "ema" else ()


def heads(config: Relic, dims: int, classes: int) -> dict[str, nn.Module]:
    """With a target BYOL's projector and predictor, without one the critic of five layers (section E.2)."""
    if config.target == "none":
        return {"projector": critic(dims, config.hidden, config.out)}
    return projector_and_predictor(dims, config.hidden, config.out)


def views(config: Relic, batch: Batch, draw: Draw) -> list[Tensor]:
    """Two crops of each picture."""
    return [crop(batch.x, config, number, draw) for number in range(2)]


def loss(
    config: Relic, crops: list[Tensor], batch: Batch, online: nn.ModuleDict, target: nn.ModuleDict, draw: Draw
) -> dict[str, Tensor]:
    """The loss and its terms by name."""
    projected = of_each(lambda x: online["projector"](online["encoder"](x)), crops)
    candidates = sample_candidates(draw, config.negatives).to(batch.x.device)
    if config.target == "none":
        return relic_loss(projected, [joined(z) for z in projected], candidates, tau=config.tau, alpha=config.alpha)
    with torch.no_grad():
        other = [joined(z) for z in of_each(lambda x: target["projector"](target["encoder"](x)), crops)]
    return relic_loss(of_each(online["predictor"], projected), other, candidates, tau=config.tau, alpha=config.alpha)


def relic_loss(
    online_V: list[Tensor], other_V: list[Tensor], candidates: Tensor, *, tau: float, alpha: float
) -> dict[str, Tensor]:
    """Mean over both directions between two views, each (B, D), of the contrastive term and alpha times the divergence.

    >>> x = torch.ones(4, 2); c = sample_candidates(Draw(torch.Generator(), 4), 0)
    >>> {name: round(t.item(), 4) + 0.0 for name, t in relic_loss([x, x], [x, x], c, tau=0.3, alpha=1.0).items()}
    {'loss': 1.3863, 'contrastive': 1.3863, 'invariance': 0.0}
    """
    log_p = log_likelihoods(online_V, other_V, candidates, tau)
    one, two = log_p[0, 1], log_p[1, 0]
    contrastive = -(one[:, 0].mean() + two[:, 0].mean()) / 2
    invariance = (divergence(one, two) + divergence(two, one)) / 2
    return {"loss": contrastive + alpha * invariance, "contrastive": contrastive, "invariance": invariance}
