"""p(x_i; a, b): how likely the target's view b of a picture is, seen from the online view a, among candidates.

phi(f, g) = <f, g> / tau of unit vectors, and p(x_i; a, b) = softmax over j in J_i of phi(f(x_i^a), g(x_j^b)), with J_i = {i} and
others of the batch. RELIC, RELICv2 and every method that tells instances apart across views begin here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.precision import in_float32
from relic_eval.views import Draw


def sample_candidates(draw: Draw, negatives: int) -> Tensor:
    """Rows (B, 1 + n_e) of the whole batch: first the picture's own, then `negatives` different others, drawn uniformly.

    0 takes all others. Floyd's way (Bentley and Floyd 1987): a table of B x B random numbers would be sorted for nothing.

    >>> sample_candidates(Draw(torch.Generator(), 3), 2).tolist()
    [[0, 1, 2], [1, 0, 2], [2, 0, 1]]
    """
    others = draw.total - 1
    count = negatives or others
    own = torch.arange(draw.total)[draw.rows, None]
    found = torch.arange(count).repeat(len(own), 1)
    if count < others:
        for place in range(count):
            last = others - count + place
            number = (draw.uniform(0, 1) * (last + 1)).long().clamp_max(last)
            taken = (found[:, :place] == number[:, None]).any(1)
            found[:, place] = torch.where(taken, last, number)
    return torch.cat([own, found + (found >= own)], 1)


@in_float32
def log_likelihoods(online_V: list[Tensor], target_L: list[Tensor], candidates: Tensor, tau: float) -> Tensor:
    """log p (V, L, B, 1 + n_e) of every online view towards every target view, each (B, D); the picture itself comes first.

    >>> x, c = torch.eye(2), torch.tensor([[0, 1], [1, 0]])
    >>> log_likelihoods([x], [x], c, tau=1.0).exp().round(decimals=4)[0, 0, 0]  # e / (e + 1)
    tensor([0.7311, 0.2689])
    """
    f = F.normalize(torch.stack(online_V), dim=2)
    g = F.normalize(torch.stack(target_L), dim=2)
    # one product for all pairs of views: (V, B, D) x (L, B, D) -> (V, L, B, B), then the candidates of each row
    phi = torch.einsum("vid,ljd->vlij", f, g) / tau
    return F.log_softmax(phi.gather(3, candidates.expand(*phi.shape[:2], -1, -1)), dim=3)


def divergence(log_p: Tensor, log_q: Tensor, grad: str = "full") -> Tensor:
    """KL(p || q) averaged over the batch; `grad` says what of it is differentiated, and changes no value.

    full: all of it. sg_entropy: sg[E_p log p] - E_p log q, no gradient through the anchor's entropy. detach_anchor: p is a
    constant, as in distillation.

    >>> p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    >>> [round(divergence(p, q, grad).item(), 4) for grad in ("full", "sg_entropy", "detach_anchor")]
    [0.1438, 0.1438, 0.1438]
    """
    if grad == "detach_anchor":
        log_p = log_p.detach()
    entropy = (log_p.exp() * log_p).sum(1)
    cross = (log_p.exp() * log_q).sum(1)
    return ((entropy.detach() if grad == "sg_entropy" else entropy) - cross).mean()
