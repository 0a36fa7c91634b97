"""RELICv2 (Tomasev et al. 2022, arXiv 2201.05119): likelihood of the positive among few negatives, and invariance of it.

phi(f, g) = <f, g> / tau of unit vectors. For an anchor view a (online) and a positive view b (target), over the same
candidates J_i = {i} and n_e sampled others: p(x_i; a, b) = softmax over j in J_i of phi(f(x_i^a), g(x_j^b)).
The loss of a pair is alpha * -log p at j = i, plus beta * KL(p || p+), where p+ has the roles of the views exchanged.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, recipe
from pretrain.config import Relicv2
from pretrain.heads import mlp
from relic_eval.errors import ArgumentError
from relic_eval.views import make_view, remove_background

TARGET = ("encoder", "projector")


def heads(config: Relicv2, dims: int, classes: int) -> dict[str, nn.Module]:
    """Projector and predictor, the comparison networks of online and target side.

    >>> sorted(heads(Relicv2(), 8, 0))
    ['predictor', 'projector']
    """
    return {"projector": mlp(dims, config.hidden, config.out), "predictor": mlp(config.out, config.hidden, config.out)}


def views(config: Relicv2, batch: Batch, generator: Generator) -> list[Tensor]:
    """Large crops first, each of the picture without its background with probability p_mask; then small crops.

    The draw is fresh for each large crop and small crops see the whole picture: read to the letter, the published
    pseudo-code would let a masked picture stay masked for all later crops.

    >>> batch = Batch(torch.rand(2, 1, 28, 28), torch.tensor([-1, -1]), torch.ones(2, 1, 28, 28, dtype=torch.bool))
    >>> [v.shape[2] for v in views(Relicv2(large=2, small=1, small_side=20), batch, Generator())]
    [28, 28, 20]
    """
    large = recipe(config, config.side, (config.area_low, 1.0))
    small = recipe(config, config.small_side, (config.small_area_low, config.small_area_high))
    crops = []
    for _ in range(config.large):
        x = remove_background(batch.x, batch.mask, config.p_mask, config.background, generator)
        crops.append(make_view(x, large, generator))
    return crops + [make_view(batch.x, small, generator) for _ in range(config.small)]


def loss(
    config: Relicv2, crops: list[Tensor], batch: Batch, online: nn.ModuleDict, target: nn.ModuleDict, generator: Generator
) -> dict[str, Tensor]:
    """The loss and its two terms; small crops go through the online network only.

    >>> parts = nn.ModuleDict({name: nn.Identity() for name in ("encoder", "projector", "predictor")})
    >>> config, batch = Relicv2(negatives=1, beta=0.0, alpha=1.0), Batch(torch.ones(0), torch.ones(0), torch.ones(0))
    >>> round(loss(config, [torch.ones(2, 2)] * 3, batch, parts, parts, Generator())["loss"].item(), 4)  # log 2
    0.6931
    """
    online_V = [online["predictor"](online["projector"](online["encoder"](x))) for x in crops]
    with torch.no_grad():
        target_L = [target["projector"](target["encoder"](x)) for x in crops[: config.large]]
    candidates_BK = sample_candidates(len(crops[0]), config.negatives, generator).to(crops[0].device)
    partner = int(torch.randint(1, config.large, (1,), generator=generator))
    return relicv2_loss(
        torch.stack(online_V), torch.stack(target_L), candidates_BK, tau=config.tau, alpha=config.alpha, beta=config.beta,
        partner=partner,
    )


def sample_candidates(batch: int, negatives: int, generator: Generator) -> Tensor:
    """(B, 1 + n_e) row numbers: first the row itself, then `negatives` different others, drawn uniformly.

    >>> sample_candidates(3, 2, Generator().manual_seed(0)).sort(1).values.tolist()
    [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    """
    if negatives >= batch:
        raise ArgumentError("batch", f"at least {negatives + 1}: a picture and its {negatives} negatives", f"{batch}")
    order = torch.rand(batch, batch, generator=generator)
    order.fill_diagonal_(-1.0)
    return order.topk(negatives + 1, dim=1, largest=False).indices


def relicv2_loss(
    online_VBD: Tensor, target_LBD: Tensor, candidates_BK: Tensor, *, tau: float, alpha: float, beta: float, partner: int = 1
) -> dict[str, Tensor]:
    """Mean over all (L + S) * L pairs of an online view and a large target view, the same crop with itself included.

    `online_VBD` holds L large and then S small views, `target_LBD` the large ones. The candidates (the row itself first)
    are one sampled set for all pairs and for both sides of the divergence: two different sets would compare unlike
    things. `partner`, from 1 to L - 1, says which other large view a small one is held against.

    >>> x = torch.ones(2, 4, 3); c = sample_candidates(4, 3, Generator().manual_seed(0))
    >>> terms = relicv2_loss(x, x, c, tau=0.3, alpha=1.0, beta=1.0)
    >>> [round(terms[name].item(), 4) for name in ("contrastive", "kl")]  # log(1 + n_e) and 0
    [1.3863, 0.0]
    """
    large, small = len(target_LBD), len(online_VBD) - len(target_LBD)
    f = F.normalize(online_VBD, dim=2)
    g = F.normalize(target_LBD.detach(), dim=2)
    # one product for all pairs of views: (V, B, D) x (L, B, D) -> (V, L, B, B), then the candidates of each row
    phi_VLBB = torch.einsum("vid,ljd->vlij", f, g) / tau
    log_p_VLBK = phi_VLBB.gather(3, candidates_BK.expand(large + small, large, -1, -1)).log_softmax(3)
    contrastive = -log_p_VLBK[..., 0].mean()
    # A small view has no target side to exchange roles with, so the distribution of (small -> large j) is held against
    # that of another large view towards the same j (reading (i) of the notes): the candidates and the target stay the
    # same, and all (L + S) * L pairs have both terms.
    exchanged = log_p_VLBK[:large].transpose(0, 1)
    if small:
        if not 1 <= partner < large:
            raise ArgumentError("large", "at least 2, and a partner from 1 to large - 1", f"{large} and {partner}")
        targets = torch.arange(large, device=f.device)
        other_LBK = log_p_VLBK[(targets + partner) % large, targets]
        exchanged = torch.cat([exchanged, other_LBK.expand(small, -1, -1, -1)])
    kl = divergence(log_p_VLBK, exchanged)
    return {"loss": alpha * contrastive + beta * kl, "contrastive": contrastive, "kl": kl}


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sg[E_p log p] - E_p log q over the last axis, averaged over the others.

    No gradient flows through the anchor's negative entropy; p in the cross-entropy does carry one.

    >>> p = torch.log(torch.tensor([[0.5, 0.5]])); divergence(p, p).item()
    0.0
    """
    p = log_p.exp()
    return ((p * log_p).sum(-1).detach() - (p * log_q).sum(-1)).mean()
