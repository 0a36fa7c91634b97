"""P4 and P5: discriminability, exact by tiles and in closed form, against the bare products of the same shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from benchmarks.claim import Figure, grown, in_turns
from benchmarks.features import real, tiled
from relic_eval.metrics.discriminability import Discriminability, discriminability
from relic_eval.metrics.distances import SIDE

CHECKED = 5  # rows worked out again by differences


def _rows(quick: bool) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """Real features tiled to 50,000 x 2,048, and two choices of 1,000 classes of 50 in no order.

    Noisy copies of an image are scattered over the classes, so that nearly every tile holds pairs too near for products,
    or they share a class, as pictures of one thing do.
    """
    n, dims, classes = (600, 64, 30) if quick else (50_000, 2048, 1000)
    x_ND, _ = real("tinyimagenet40", "train", 300) if quick else real("cifar10-full", "train", 20_000)
    rng = np.random.default_rng(0)
    shared_N = np.resize(rng.permutation(np.arange(len(x_ND)) % classes), n)
    scattered_N = rng.permutation(np.arange(n) % classes)
    return tiled(x_ND, n, dims), {"copies scattered": scattered_N, "copies in one class": shared_N}, classes


def exact(quick: bool) -> Iterator[Figure]:
    """P4: mean Euclidean distances of every image to every class, against the products of one triangle in the same tiles."""
    import torch

    x_ND, choices, classes = _rows(quick)
    x, tile = torch.from_numpy(x_ND), torch.empty(SIDE * SIDE)

    def triangle() -> None:
        for i in range(0, len(x), SIDE):
            for j in range(i, len(x), SIDE):
                a, b = x[i : i + SIDE], x[j : j + SIDE]
                torch.mm(a, b.T, out=tile[: len(a) * len(b)].view(len(a), len(b)))

    shape = f"{len(x):,} x {x.shape[1]:,}, {classes:,} classes"
    for labels, y_N in choices.items():
        work = partial(discriminability, x_ND, y_N)
        found: list[Discriminability] = []
        memory = grown(partial(_keep, work, found))
        error = _error(x_ND, y_N, found.pop())
        ours, peer = in_turns(work, triangle, 1 if quick else 3)
        what = f"{shape}, {labels}"
        yield Figure(
            f"{what}; peer: the blocked product of one triangle", ours, peer, "s", ours / peer, "<= 1.3", error
        )
        yield Figure(f"{what}, memory above the input", memory, None, "GiB", memory, "<= 1")


def _keep(work: Callable[[], Discriminability], found: list[Discriminability]) -> None:
    found.append(work())


def _error(x_ND: np.ndarray, y_N: np.ndarray, d: Discriminability) -> str:
    """The largest relative difference of a few rows from float64 differences, in words."""
    worst = 0.0
    for row in np.random.default_rng(0).integers(0, len(y_N), CHECKED):
        one_N = np.concatenate(
            [
                np.sqrt(((x_ND[s : s + 1000].astype(np.float64) - x_ND[row]) ** 2).sum(1))
                for s in range(0, len(x_ND), 1000)
            ]
        )
        same_N = y_N == y_N[row]
        found = d.inter_N[row], d.intra_N[row]
        true = one_N[~same_N].mean(), one_N[same_N].sum() / (same_N.sum() - 1)
        worst = max(worst, *(abs(f / t - 1) for f, t in zip(found, true, strict=True)))
    return f"inter and intra of {CHECKED} rows differ from float64 by at most {worst:.0e}, relative"


def closed(quick: bool) -> Iterator[Figure]:
    """P5: squared and cosine discriminability, against the bare product of images and centroids."""
    import torch

    x_ND, choices, classes = _rows(quick)
    y_N = choices["copies scattered"]
    x, centroids = torch.from_numpy(x_ND), torch.from_numpy(tiled(x_ND, classes, x_ND.shape[1], seed=1))
    repeats = 2 if quick else 7
    shape = f"{len(x):,} x {x.shape[1]:,}, {classes:,} classes"

    def product() -> None:
        x @ centroids.T

    for metric in ("squared", "cosine"):

        def alone(metric: str = metric) -> None:
            discriminability(x_ND, y_N, metric=metric, to_classes=False)

        def whole(metric: str = metric) -> None:
            discriminability(x_ND, y_N, metric=metric)

        alone()
        ours, peer = in_turns(alone, product, repeats)
        what = f"{metric}, {shape}"
        yield Figure(f"{what}, ratios per class", ours, None, "s", ours, "<= 1", "the same call gives those per image")
        yield Figure(f"{what}, ratios per image; peer: images x centroids", ours, peer, "s", ours / peer, "<= 1.3")
        ours, peer = in_turns(whole, product, repeats)
        note = "what the nearest class needs; beyond the product, first use of the memory of the result costs most"
        yield Figure(
            f"{what}, also image to class distances; peer: images x centroids", ours, peer, "s", ours / peer, None, note
        )
