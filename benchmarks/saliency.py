"""S1: unsupervised masks against 148 pictures of pets whose true masks are known, and against guesses that see no picture."""

from __future__ import annotations

import csv
import io
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.claim import Figure
from relic_eval.data.opening import open_mask, open_square, upright_size
from relic_eval.data.pictures import resize
from relic_eval.files import write_bytes
from relic_eval.metrics.bootstrap import paired_bootstrap
from relic_eval.metrics.segmentation import mask_f, mask_iou
from relic_eval.metrics.statistics import interval

TABLE = Path(__file__).parent / "saliency.csv"
SIDE = 128
SMALL = 32  # the other side that makers are timed at
SIZES = np.arange(0.3, 1.01, 0.05)  # of boxes and ellipses, as shares of the side
BY_HAND = ("border", "rbd", "spectral", "fine", "fused")


def masks(quick: bool) -> Iterator[Figure]:
    """S1: IoU and F-measure of every maker on the test half of petmask; what has settings is chosen on the training half."""
    train_NHWC, train_NHW = petmask("train", 16 if quick else None)
    test_NHWC, true_NHW = petmask("test", 12 if quick else None)
    seconds, found = {}, blind(train_NHW, true_NHW.shape)
    for maker in BY_HAND:
        found[maker], seconds[maker] = _made(maker, test_NHWC)
    found["network"], seconds["network"], took = _network(train_NHWC, test_NHWC, quick)
    iou_MN, f_MN = (np.stack([score(true_NHW, m) for m in found.values()]) for score in (mask_iou, mask_f))
    rows = []
    for way, iou, f in zip(found, _means(iou_MN), _means(f_MN), strict=True):
        rows.append([way, *iou, *f, *seconds.get(way, ("", ""))])
        note = f"95% {iou[1]:.3f} to {iou[2]:.3f}; F {f[0]:.3f}, {f[1]:.3f} to {f[2]:.3f}"
        yield Figure(f"IoU of {way}", iou[0], None, "IoU", iou[0], None, note)
    names = list(found)
    pairs = [("network", other) for other in (*BY_HAND, "centre Gaussian")]
    for one, other in pairs:
        for what, values_MN in (("IoU", iou_MN), ("F", f_MN)):
            ours, peer = values_MN[names.index(one)], values_MN[names.index(other)]
            ((change, low, high),) = _means((ours - peer)[None])
            note = f"paired, 95% {low:+.3f} to {high:+.3f}"
            yield Figure(f"{what} of {one}; peer: {other}", ours.mean(), peer.mean(), what, change, None, note)
    for maker, (large, small) in seconds.items():
        note = f"{SMALL} pixels; {SIDE} pixels: {large:.2f} s"
        note += f"; its training on {len(train_NHWC)} pictures: {took:.0f} s" if maker == "network" else ""
        yield Figure(f"1,000 pictures by {maker}", small, None, "s of CPU", small, None, note)
    if not quick:
        _write(rows)


MAKERS = (*BY_HAND, "network")


def petmask(split: str, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 128, 128, 3) and true masks (N, 128, 128) of a half, both with 128 pixels on the short side and cut in the centre."""
    folder = os.environ.get("RELIC_EVAL_DATA")
    if not folder:
        raise SystemExit("benchmarks: expected RELIC_EVAL_DATA to name the folder of image sets, received nothing")
    with tempfile.TemporaryDirectory() as place, tarfile.open(Path(folder) / "petmask.tar") as tar:
        tar.extractall(place, filter="data")
        files = sorted((Path(place) / split / "images").glob("*.jpg"))[:most]
        x = np.stack([open_square(file, SIDE) for file in files])
        true = [
            open_mask(file.parents[1] / "masks" / f"{file.stem}.png", upright_size(file), SIDE, 1) for file in files
        ]
    return x, np.stack(true)


def blind(train_NHW: np.ndarray, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Masks that see no picture: all of it, and the box and the ellipse in the middle that fit the training half best.

    A Gaussian above a threshold is an ellipse: its deviations down and across are chosen apart, and the threshold would only scale both.
    """
    line = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    down, across = np.abs(line)[:, None], np.abs(line)[None]
    boxes = [(down < h / 2) & (across < w / 2) for h in SIZES for w in SIZES]
    ellipses = [(2 * down / h) ** 2 + (2 * across / w) ** 2 < 1 for h in 1.5 * SIZES for w in 1.5 * SIZES]

    def best(shapes: list[np.ndarray]) -> np.ndarray:
        score = [mask_iou(train_NHW, np.broadcast_to(one, train_NHW.shape)).mean() for one in shapes]
        return np.broadcast_to(shapes[int(np.argmax(score))], shape)

    return {"full frame": np.ones(shape, bool), "centre box": best(boxes), "centre Gaussian": best(ellipses)}


def _made(maker: str, test_NHWC: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Masks, and seconds of CPU for 1,000 pictures of SIDE and of SMALL pixels."""
    from pretrain.saliency.makers import make_masks

    small = resize(test_NHWC, SMALL)
    make_masks(maker, small[:2])  # libraries are imported
    took, mask = _seconds(lambda: make_masks(maker, test_NHWC), len(test_NHWC))
    return mask, (took, _seconds(lambda: make_masks(maker, small), len(small))[0])


def _network(train_NHWC, test_NHWC, quick: bool) -> tuple[np.ndarray, tuple[float, float], float]:
    """Masks of pictures that the network was not trained on, seconds of CPU for 1,000, and of the training."""
    from dataclasses import replace

    from pretrain.saliency import network
    from pretrain.saliency.threshold import to_masks

    plan = replace(network.PLAN, fewest_steps=4, most_steps=4) if quick else network.PLAN
    began = time.process_time()
    net = network.train(lambda rows: train_NHWC[rows], len(train_NHWC), plan)
    took = time.process_time() - began
    large, mask = _seconds(lambda: to_masks(network.predict(net, test_NHWC)), len(test_NHWC))
    small = resize(test_NHWC, SMALL)
    return mask, (large, _seconds(lambda: network.predict(net, small), len(small))[0]), took


def _seconds(work, count: int) -> tuple[float, np.ndarray]:
    began = time.process_time()
    out = work()
    return (time.process_time() - began) / count * 1000, out


def _means(values_MN: np.ndarray) -> list[tuple[float, float, float]]:
    """Mean over pictures and its 95% interval, from 10,000 bootstrap samples that all rows share."""
    low_M, high_M = interval(paired_bootstrap(values_MN[:, None], np.zeros(values_MN.shape[1], int)))
    return list(zip(values_MN.mean(1).tolist(), low_M.tolist(), high_M.tolist(), strict=True))


def _write(rows: list[list]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["way", "iou", "iou_low", "iou_high", "f", "f_low", "f_high", f"seconds_{SIDE}", f"seconds_{SMALL}"])
    table.writerows([[f"{v:.4f}" if isinstance(v, float) else v for v in row] for row in rows])
    write_bytes(TABLE, text.getvalue().encode())
