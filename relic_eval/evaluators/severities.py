"""ImageNet-C: one number over its 15 corruptions at five severities, and its errors against AlexNet's."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.shared import predictions
from relic_eval.records import CLEAN, Cell, Embeddings, Measurement

# Top-1 error of torchvision's AlexNet on each corruption, mean over the five severities, as the authors of ImageNet-C give it
# (github.com/hendrycks/robustness: issue 10 has each severity, the README the sheet of the mCE); google-research/augmix and
# open-mmlab/mmpretrain hold the same.
ALEXNET = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
# on clean pictures: torchvision gives 56.522% top-1 for these weights; google-research/robustness_metrics has 0.4348
ALEXNET_CLEAN = 0.43478
STRENGTHS = (1, 2, 3, 4, 5)
SAMPLES = 2000  # of the bootstrap over pictures, seed 0
BLOCK = 4096  # pictures whose predictions are counted together


def severities_cell(head: Logistic, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
    """A cell whose first row is top-1 averaged over 15 kinds and five strengths; then mCE, and the parts of both.

    `test` has a picture's embeddings in every split as `views`, named by `corruptions`: kind and strength, or "clean 0", without
    which there is no relative mCE. Kinds that are not AlexNet's 15 have rows of their own and are in no mean. An ArgumentError
    where one of the 75 is missing.
    """
    from relic_eval.metrics.bootstrap import paired_bootstrap
    from relic_eval.metrics.statistics import interval, wilson
    from relic_eval.probes.linear import edge_of, predict

    row_of = {name: row for row, name in enumerate(test.corruptions)}
    wanted = [f"{kind} {s}" for kind in ALEXNET for s in STRENGTHS]
    lacking = [name for name in wanted if name not in row_of]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ArgumentError("corruptions", "15 kinds at five strengths", f"no {lacking[0]}{more}")
    path, _, best, refit, scale = head.fitted(train, valid)
    model = refit.weights_SLDC[0], refit.bias_SLC[0]
    said_VN = np.stack([predict(*model, scale(view_ND))[0] for view_ND in test.views])
    right_VN = said_VN == test.y_N
    place = [row_of[name] for name in wanted]
    right_KSN = right_VN[place].reshape(len(ALEXNET), len(STRENGTHS), -1)
    clean_N = right_VN[row_of[CLEAN]] if CLEAN in row_of else None
    sound = bool(refit.converged_SL.all() and path.converged_SL.all())
    parts = _parts(right_KSN, clean_N)
    sample_MB = paired_bootstrap(np.stack([p[2] for p in parts])[:, None], test.y_N, draws=SAMPLES)
    n, rows = len(test), []
    for (metric, params, value_N), sample_B in zip(parts, sample_MB, strict=True):
        low, high = interval(sample_B)
        rows.append(Measurement(metric, float(value_N.mean()), float(low), float(high), n, params, sound))
    fit = {"penalty": path.penalties_L[best].item(), "edge": int(edge_of(path.penalties_L, best) != "")}
    rows[0] = dataclasses.replace(rows[0], params={**rows[0].params, **fit})
    for name, right_N in zip(test.corruptions, right_VN, strict=True):
        hits, (kind, strength) = int(right_N.sum()), name.split()
        about: dict[str, Any] = {} if name == CLEAN else {"kind": kind, "strength": int(strength)}
        rows.append(Measurement("clean_top1" if name == CLEAN else "top1", hits / n, *wilson(hits, n), n, about, sound))
    names = [name.split() for name in test.corruptions if name != CLEAN]
    curves = {
        "name": np.array([kind for kind, _ in names]),
        "x": np.array([float(s) for _, s in names]),
        "y": np.array([right_VN[row].mean() for name, row in row_of.items() if name != CLEAN]),
    }
    mean_N, nothing = right_KSN.mean((0, 1)), np.full(n, np.nan)
    return Cell(tuple(rows), predictions(test, said_most(said_VN[place]), mean_N, nothing), curves)


def _parts(right_KSN: np.ndarray, clean_N: np.ndarray | None) -> list[tuple[str, dict[str, Any], np.ndarray]]:
    """Metric, parameters and the numbers (N,) of the pictures whose mean it is: all are such means, mCE too.

    mCE is the mean over kinds of (sum of errors over strengths) / (AlexNet's sum); relative mCE takes the error on clean pictures
    from both first (Hendrycks and Dietterich 2019, section 4.1).
    """
    wrong_KN, theirs_K1 = 1 - right_KSN.mean(1), np.array([*ALEXNET.values()])[:, None]
    about = {"kinds": len(ALEXNET), "strengths": " ".join(map(str, STRENGTHS))}
    found: list[tuple[str, dict[str, Any], np.ndarray]] = [("top1", about, right_KSN.mean((0, 1)))]
    found.append(("mce", {}, (wrong_KN / theirs_K1).mean(0)))
    if clean_N is not None:
        worse_KN = (wrong_KN - ~clean_N) / (theirs_K1 - ALEXNET_CLEAN)
        found.append(("relative_mce", {}, worse_KN.mean(0)))
    found += [("top1", {"kind": kind}, 1 - wrong_N) for kind, wrong_N in zip(ALEXNET, wrong_KN, strict=True)]
    found += [("top1", {"strength": s}, right_KSN[:, i].mean(0)) for i, s in enumerate(STRENGTHS)]
    ratio_KN = wrong_KN / theirs_K1
    return found + [("ce", {"kind": kind}, ratio_N) for kind, ratio_N in zip(ALEXNET, ratio_KN, strict=True)]


def said_most(said_VN: np.ndarray) -> np.ndarray:
    """Of each column the class number that stands in it most often, of equals the smallest.

    >>> said_most(np.array([[1, 2], [1, 0], [3, 2]]))
    array([1, 2])
    """
    classes, found = int(said_VN.max()) + 1, []
    for start in range(0, said_VN.shape[1], BLOCK):
        block_VN = said_VN[:, start : start + BLOCK]
        many = block_VN.shape[1]
        count = np.bincount((block_VN + np.arange(many) * classes).ravel(), minlength=many * classes)
        found.append(count.reshape(many, classes).argmax(1))
    return np.concatenate(found)
