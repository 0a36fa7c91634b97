"""RELICv2 (Tomasev et al. 2022, arXiv 2201.05119): likelihood of the positive among few negatives, and invariance of it.

The loss of an online view a and a target's large view b is alpha * -log p(x_i; a, b) at i, plus beta * KL(p || p+), where p+ has
the roles of the views exchanged (likelihood.py). Where the published text leaves a point open, a setting names the readings.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pretrain.batch import Batch, crop
from pretrain.config import Relicv2
from pretrain.heads import projector_and_predictor
from pretrain.likelihood import divergence, log_likelihoods, sample_candidates
from pretrain.norms import of_each
from pretrain.ranks import joined
from relic_eval.views import Draw


def averaged(config: Relicv2) -> tuple[str, ...]:
    """Encoder and projector."""
    return ("encoder", "projector")


def heads(config: Relicv2, dims: int, classes: int) -> dict[str, nn.Module]:
    """Projector and predictor, the comparison networks of online and target side."""
    return projector_and_predictor(dims, config.hidden, config.out)


def views(config: Relicv2, batch: Batch, draw: Draw) -> list[Tensor]:
    """Large crops first, each of the picture without its background with probability p_mask; then small crops."""
    # Masks are drawn afresh for each large crop, and small crops see the whole picture: the text says of large crops only that
    # they may be masked. Read to the letter the pseudo-code overwrites the picture, so that one that was masked stays so for
    # all later crops, small ones too (sticky=on): of 4 large crops the last would be masked in 34% of the pictures, not 10%.
    x, crops = batch.x, []
    for number in range(config.large):
        seen = remove_background(x, batch, config, draw)
        x = seen if config.sticky == "on" else x
        crops.append(crop(seen, config, number, draw))
    area = (config.small_area_low, config.small_area_high)
    for number in range(config.large, config.large + config.small):
        crops.append(crop(x, config, number, draw, side=config.small_side, area=area))
    return crops


def remove_background(x: Tensor, batch: Batch, config: Relicv2, draw: Draw) -> Tensor:
    """The pictures, each with probability p_mask without what its saliency mask calls background."""
    # The published fill is not known. Black is what most masked pictures in print show; the mean colour is 0 after
    # normalisation; a grey of its own for each picture (Ryali et al. 2021) keeps the fill from being a cue.
    masked = (draw.uniform(0, 1) < config.p_mask).to(x.device)
    fill = torch.zeros_like(batch.mean)
    if config.background == "mean":
        fill = batch.mean
    elif config.background == "grey":
        fill = draw.uniform(0, 1).to(x).view(-1, 1, 1, 1)
    return torch.where(batch.mask | ~masked.view(-1, 1, 1, 1), x, fill)


def loss(
    config: Relicv2,
    crops: list[Tensor],
    batch: Batch,
    online: nn.ModuleDict,
    target: nn.ModuleDict,
    draw: Draw,
) -> dict[str, Tensor]:
    """Small crops go through the online network only."""
    online_V = of_each(lambda x: online["predictor"](online["projector"](online["encoder"](x))), crops)
    with torch.no_grad():
        target_L = [
            joined(z) for z in of_each(lambda x: target["projector"](target["encoder"](x)), crops[: config.large])
        ]
    candidates = sample_candidates(draw, config.negatives).to(batch.x.device)
    return relicv2_loss(
        online_V,
        target_L,
        candidates,
        tau=config.tau,
        alpha=config.alpha,
        beta=config.beta,
        grad=config.invariance_grad,
        small=config.small_invariance,
    )


def relicv2_loss(
    online_V: list[Tensor],
    target_L: list[Tensor],
    candidates: Tensor,
    *,
    tau: float,
    alpha: float,
    beta: float,
    grad: str = "sg_entropy",
    small: str = "next_large",
) -> dict[str, Tensor]:
    """Mean over all (L + S) * L pairs of an online view and a large target view, the same crop with itself included.

    `online_V` are L large and then S small views, `target_L` the large ones, each (B, D). The candidates are one sampled
    set for all pairs and for both sides of the divergence: with two different sets it would compare unlike things.

    >>> x = torch.ones(4, 2); c = sample_candidates(Draw(torch.Generator(), 4), 3)
    >>> terms = relicv2_loss([x, x], [x, x], c, tau=0.3, alpha=1.0, beta=1.0)
    >>> round(terms["loss"].item(), 4) == round(torch.log(torch.tensor(4.0)).item(), 4)  # log(1 + n_e)
    True
    """
    large = len(target_L)
    log_p = log_likelihoods(online_V, target_L, candidates, tau)
    contrastive = -log_p[..., 0].mean()
    invariance = log_p.new_zeros(())
    for v in range(len(online_V)):
        for j in range(large):
            # A small view has no target side to exchange roles with, so the distribution of (small v -> large j) is
            # held against that of another large view (the next one) towards the same j, or left out. A large view
            # against itself exchanges nothing and has divergence 0; the entropy gradient that the formula has there is left out.
            if v == j or (v >= large and small == "none"):
                continue
            other = log_p[j, v] if v < large else log_p[(j + 1) % large, j]
            invariance = invariance + divergence(log_p[v, j], other, grad)
    invariance = invariance / (len(online_V) * large)
    return {"loss": alpha * contrastive + beta * invariance, "contrastive": contrastive, "invariance": invariance}
