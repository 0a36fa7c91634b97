"""RELICv2 (Tomasev et al. 2022, arXiv 2201.05119): likelihood of the positive among few negatives, and invariance of it.

phi(f, g) = <f, g> / tau of unit vectors. For an anchor view a (online) and a positive view b (target), over the same
candidates J_i = {i} and n_e sampled others: p(x_i; a, b) = softmax over j in J_i of phi(f(x_i^a), g(x_j^b)).
The loss of a pair is alpha * -log p at j = i, plus beta * KL(p || p+), where p+ has the roles of the views exchanged.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, crop
from pretrain.config import Relicv2
from pretrain.heads import mlp

TARGET = ("encoder", "projector")


def heads(config: Relicv2, dims: int, classes: int) -> dict[str, nn.Module]:
    """Projector and predictor, the comparison networks of online and target side."""
    return {"projector": mlp(dims, config.hidden, config.out), "predictor": mlp(config.out, config.hidden, config.out)}


def views(config: Relicv2, batch: Batch, generator: Generator) -> list[Tensor]:
    """Large crops first, each of the picture without its background with probability p_mask; then small crops.

    The draw is fresh for each large crop and small crops see the whole picture: read to the letter, the published
    pseudo-code would let a masked picture stay masked for all later crops.
    """
    crops = [crop(remove_background(batch, config, generator), config, v, generator) for v in range(config.large)]
    area = (config.small_area_low, config.small_area_high)
    for number in range(config.large, config.large + config.small):
        crops.append(crop(batch.x, config, number, generator, side=config.small_side, area=area))
    return crops


def remove_background(batch: Batch, config: Relicv2, generator: Generator) -> Tensor:
    """The pictures, each with probability p_mask without what its saliency mask calls background."""
    masked = (torch.rand(len(batch.x), generator=generator) < config.p_mask).to(batch.x.device)
    fill = batch.mean if config.background == "mean" else torch.zeros_like(batch.mean)
    return torch.where(batch.mask | ~masked.view(-1, 1, 1, 1), batch.x, fill)


def loss(
    config: Relicv2,
    crops: list[Tensor],
    batch: Batch,
    online: nn.ModuleDict,
    target: nn.ModuleDict,
    generator: Generator,
) -> dict[str, Tensor]:
    """Small crops go through the online network only."""
    online_V = [online["predictor"](online["projector"](online["encoder"](x))) for x in crops]
    with torch.no_grad():
        target_L = [target["projector"](target["encoder"](x)) for x in crops[: config.large]]
    candidates = sample_candidates(len(batch.x), config.negatives, generator).to(batch.x.device)
    return relicv2_loss(online_V, target_L, candidates, tau=config.tau, alpha=config.alpha, beta=config.beta)


def sample_candidates(batch: int, negatives: int, generator: Generator) -> Tensor:
    """(B, 1 + n_e) row numbers: first the row itself, then `negatives` different others, drawn uniformly.

    >>> sample_candidates(3, 2, Generator().manual_seed(0)).sort(1).values.tolist()
    [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    """
    order = torch.rand(batch, batch, generator=generator)
    order.fill_diagonal_(-1.0)
    return order.topk(negatives + 1, dim=1, largest=False).indices


def relicv2_loss(
    online_V: list[Tensor], target_L: list[Tensor], candidates: Tensor, *, tau: float, alpha: float, beta: float
) -> dict[str, Tensor]:
    """Mean over all (L + S) * L pairs of an online view and a large target view, the same crop with itself included.

    `online_V` are L large and then S small views, `target_L` the large ones, each (B, D). The candidates are one sampled
    set for all pairs and for both sides of the divergence: with two different sets it would compare unlike things.

    >>> x = torch.ones(4, 2); c = sample_candidates(4, 3, Generator().manual_seed(0))
    >>> terms = relicv2_loss([x, x], [x, x], c, tau=0.3, alpha=1.0, beta=1.0)
    >>> round(terms["loss"].item(), 4) == round(torch.log(torch.tensor(4.0)).item(), 4)  # log(1 + n_e)
    True
    """
    large = len(target_L)
    f = F.normalize(torch.stack(online_V), dim=2)
    g = F.normalize(torch.stack(target_L), dim=2)
    # one product for all pairs of views: (V, B, D) x (L, B, D) -> (V, L, B, B), then the candidates of each row
    phi = torch.einsum("vid,ljd->vlij", f, g) / tau
    index = candidates.expand(*phi.shape[:2], -1, -1)
    log_p = F.log_softmax(phi.gather(3, index), dim=3)
    contrastive = -log_p[..., 0].mean()
    divergence = log_p.new_zeros(())
    for v in range(len(online_V)):
        for j in range(large):
            # A small view has no target side to exchange roles with, so the distribution of (small v -> large j) is
            # held against that of another large view (the next one) towards the same j: reading (i). A large view
            # against itself exchanges nothing and has divergence 0; the entropy gradient that the formula has there is left out.
            if v == j:
                continue
            other = log_p[j, v] if v < large else log_p[(j + 1) % large, j]
            divergence = divergence + invariance(log_p[v, j], other)
    divergence = divergence / (len(online_V) * large)
    return {"loss": alpha * contrastive + beta * divergence, "contrastive": contrastive, "invariance": divergence}


def invariance(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sg[E_p log p] - E_p log q, averaged over the batch: no gradient through the anchor's entropy.

    >>> p = torch.log(torch.tensor([[0.5, 0.5]])); invariance(p, p).item()
    0.0
    """
    p = log_p.exp()
    return ((p * log_p).sum(1).detach() - (p * log_q).sum(1)).mean()
