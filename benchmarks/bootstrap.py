"""P6: the paired, stratified bootstrap against the loop that draws indices and gathers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.claim import Figure, grown, in_turns
from relic_eval.metrics.bootstrap import paired_bootstrap

MODELS = 10


def paired(quick: bool) -> Iterator[Figure]:
    """P6: 10,000 resamples of 25,000 images for 10 models, in many small and in a few large strata; time and memory."""
    n, draws, repeats = (2500, 200, 1) if quick else (25_000, 10_000, 3)
    rng = np.random.default_rng(0)
    # that a model is right depends on the model and on how hard the image is; what is right costs no time
    right_MN = rng.random(n) + 0.3 * rng.random((MODELS, n)) < np.linspace(0.6, 0.9, MODELS)[:, None]
    for strata in (n // 25, 10):
        strata_N = rng.permutation(np.arange(n) % strata)

        def ours(strata_N: np.ndarray = strata_N) -> np.ndarray:
            return paired_bootstrap(right_MN[:, None], strata_N, draws=draws)

        def peer(strata_N: np.ndarray = strata_N) -> np.ndarray:
            return _gathered(right_MN, strata_N, draws)

        what = f"{n} images in {strata} strata, {MODELS} models, {draws} draws"
        memory = 1024 * grown(ours)
        yield Figure(f"{what}, memory above the inputs", memory, None, "MiB", memory, "<= 244", "256 MB are 244 MiB")
        seconds, theirs = in_turns(ours, peer, repeats)
        agree = float(np.abs(ours().std(1) / peer().std(1) - 1).max())
        note = f"spreads of both agree within {agree:.1%}"
        yield Figure(
            f"{what}; peer: a loop that gathers",
            seconds,
            theirs,
            "s",
            theirs / seconds,
            None if quick else ">= 4",
            note,
        )


def _gathered(right_MN: np.ndarray, strata_N: np.ndarray, draws: int) -> np.ndarray:
    """Indices within strata and the mean of what they pick, draw by draw. Strata of one size spare it a bound an image."""
    rng, order_N = np.random.default_rng(0), np.argsort(strata_N, kind="stable")
    size = int(np.bincount(strata_N)[0])
    first_N = np.arange(len(strata_N)) // size * size
    out_MB = np.empty((len(right_MN), draws))
    for draw in range(draws):
        index_N = order_N[first_N + rng.integers(0, size, len(strata_N))]
        out_MB[:, draw] = right_MN[:, index_N].mean(1)
    return out_MB
