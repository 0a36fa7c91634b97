"""The linear probe where a picture may have several classes: one yes-or-no model a class, 11-point mean average precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.logistic import about_fit, curves_of
from relic_eval.evaluators.normalise import Normaliser, normaliser
from relic_eval.evaluators.shared import best_penalty, remembered
from relic_eval.records import Cell, Embeddings, Measurement

if TYPE_CHECKING:
    from relic_eval.evaluators.logistic import Logistic
    from relic_eval.probes.logistic import PenaltyPath

SAMPLES = 1000  # of the bootstrap over test images


def multilabel_cell(probe: Logistic, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
    """A cell whose first row is 11-point mean average precision, with a bootstrap over test images, then that of each class.

    The penalty, one for all classes, has the highest validation mean average precision; then a refit on both.
    """
    from relic_eval.metrics.precision import mean_average_precision, resampled_precision
    from relic_eval.metrics.statistics import interval
    from relic_eval.probes.linear import scores

    def fit(train: Embeddings, valid: Embeddings) -> Any:
        return _fit(probe, train, valid)

    labels_NC = labels_of(test)
    path, valid_L, best, refit, scale = remembered(probe, train, valid, fit)
    score_NC = scores(refit.weights_SLDC[0], refit.bias_SLC[0], scale(test.x_ND))[0]
    found = mean_average_precision(labels_NC, score_NC)
    low, high = interval(resampled_precision(labels_NC, score_NC[None], draws=SAMPLES)[0])
    sound, n = bool(refit.converged_SL[0, 0] and path.converged_SL.all()), len(test)
    about = about_fit(path, best, refit)
    rows = [Measurement("map11", found.mean, float(low), float(high), n, about, sound)]
    for name, ap in zip(test.classes, found.ap_C, strict=True):
        value = None if np.isnan(ap) else float(ap)
        rows.append(Measurement("ap11", value, n=n, params={"class": name}, converged=sound))
    return Cell(tuple(rows), long_table(test, labels_NC, score_NC), curves_of(path, valid_L, "map11"))


def labels_of(rows: Embeddings) -> np.ndarray:
    """The classes of each row (N, C); an error where there are none.

    >>> labels_of(Embeddings(np.zeros((1, 1)), np.array([0]), ("a", "b"), labels_NC=np.array([[True, True]])))
    array([[ True,  True]])
    """
    if rows.labels_NC is None:
        raise ArgumentError("labels_NC", "the classes of each picture, as the training rows have them", "none")
    return rows.labels_NC


def long_table(test: Embeddings, labels_NC: np.ndarray, score_NC: np.ndarray) -> dict[str, np.ndarray]:
    """The predictions table, one row an image and class, images in their order: mean average precision is no mean over images.

    >>> e = Embeddings(np.zeros((1, 1)), np.array([0]), ("a", "b"), ids=np.array(["x"]))
    >>> table = long_table(e, np.array([[True, False]]), np.array([[0.5, 0.1]]))
    >>> table["class"].tolist(), table["true"].tolist(), table["predicted"].tolist()
    ([0, 1], [1, 0], [1, 1])
    """
    (n, classes), ids = score_NC.shape, np.arange(len(test)).astype(str) if test.ids is None else test.ids
    yes_NC = score_NC > 0
    return {
        "item": np.repeat(ids, classes),
        "true": labels_NC.ravel().astype(np.int64),
        "predicted": yes_NC.ravel().astype(np.int64),
        "correct": (yes_NC == labels_NC).ravel().astype(np.float32),
        "score": score_NC.ravel().astype(np.float32),
        "class": np.tile(np.arange(classes), n),
    }


def _fit(
    probe: Logistic, train: Embeddings, valid: Embeddings
) -> tuple[PenaltyPath, np.ndarray, int, PenaltyPath, Normaliser]:
    from relic_eval.metrics.precision import mean_average_precision
    from relic_eval.probes.linear import score_blocks
    from relic_eval.probes.logistic import fit_multilabel

    train_NC, valid_NC = labels_of(train), labels_of(valid)
    for name, its_N in zip(train.classes, train_NC.T, strict=True):
        if its_N.all() or not its_N.any():
            received = "none with it" if not its_N.any() else "none without it"
            raise ArgumentError(f"class {name!r}", "training images with and without it", received, "Leave it out.")
    scale = normaliser(probe.normalise, train.x_ND)
    path = fit_multilabel(scale(train.x_ND), train_NC, penalties=probe.penalties(), tol=probe.tol)
    blocks = score_blocks(path.weights_SLDC[0], path.bias_SLC[0], scale(valid.x_ND))
    score_LNC = np.concatenate([block.astype(np.float32) for block in blocks], 1)
    valid_L = np.array([mean_average_precision(valid_NC, score_NC).mean for score_NC in score_LNC])
    best = best_penalty(valid_L)
    both_x, both_NC = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train_NC, valid_NC])
    only, scale = (float(path.penalties_L[best]),), normaliser(probe.normalise, both_x)
    refit = fit_multilabel(scale(both_x), both_NC, penalties=only, tol=probe.refit_tol)
    return path, valid_L, best, refit, scale
