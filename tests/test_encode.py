"""Encoding: pictures read ahead in order, and encoders whose features depend on the batch."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from relic_eval.data.ahead import read_ahead
from relic_eval.data.pictures import from_array
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder, from_callable
from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import digest_bytes
from relic_eval.records import Transform
from relic_eval.store import find_stores, read_manifest


def source(n=300):
    images = np.random.default_rng(0).integers(0, 255, (n, 8, 8, 3)).astype(np.uint8)
    return from_array("toy", "test", images, np.zeros(n, int), ("a",), digest="d"), images


def reading():
    return [t for t in threading.enumerate() if t.name.startswith("read")]


@pytest.mark.parametrize(("threads", "batch"), [(1, 64), (3, 64), (4, 100), (2, 1000)])
def test_batches_come_in_order_whoever_reads_first(threads, batch):
    plain, images = source()
    rng = np.random.default_rng(1)

    def slowly(rows, side):
        time.sleep(rng.random() * 0.01)
        pixels, _ = plain.read(rows, side)
        return pixels, {int(row): "broken" for row in rows if row % 50 == 7}

    rows = np.arange(10, 300)
    batches = list(read_ahead(replace(plain, read=slowly), rows, Transform(8), batch, threads))
    assert np.array_equal(np.concatenate([b.pixels for b in batches]), images[10:])
    assert [len(b.pixels) for b in batches] == [len(rows[s : s + batch]) for s in range(0, len(rows), batch)]
    assert [sha for b in batches for sha in b.shas] == [digest_bytes(p.tobytes()) for p in images[10:]]
    assert sorted(row for b in batches for row in b.problems) == [57, 107, 157, 207, 257]
    assert not reading()


def test_reading_goes_on_while_a_batch_is_used_and_ends_with_it():
    plain, _ = source()
    seen = []

    def noted(rows, side):
        seen.append(int(rows[0]))
        return plain.read(rows, side)

    batches = read_ahead(replace(plain, read=noted), np.arange(300), Transform(8), 64, 1)
    next(batches)
    deadline = time.monotonic() + 10
    while len(seen) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seen == [0, 64, 128]  # this one and two ahead, no more
    batches.close()
    assert not reading()


def test_an_error_of_a_thread_is_the_readers():
    plain, _ = source()

    def broken(rows, side):
        raise DataError("the disk is gone")

    with pytest.raises(DataError, match="the disk is gone"):
        list(read_ahead(replace(plain, read=broken), np.arange(300), Transform(8), 64, 2))
    assert not reading()


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(x)).relu().mean((2, 3))


def dropped(x):
    return torch.nn.functional.dropout(x.flatten(1), 0.1, training=True)


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (Net().train(), "Batch norm in training mode, for which call .eval"),
        (dropped, r"The same batch gives others each time: dropout in training mode, for which call .eval\(\)"),
        (lambda x: torch.randn(len(x), 9), "random numbers in the function"),
        (lambda x: 100 * (x - x.mean(0)).flatten(1), r"differ by \d+% .* or a mean over the batch is the usual cause"),
    ],
)
def test_what_depends_on_the_batch_is_found_before_anything_is_written(function, cause, tmp_path):
    with pytest.raises(ArgumentError, match=rf"wild: expected features of a picture that do not depend on .*{cause}"):
        embed(from_callable("wild", function, digest="1"), "digits", tmp_path, device="cpu")
    assert not find_stores(tmp_path)
    assert not list(tmp_path.rglob("part-*"))


def test_what_does_not_depend_on_it_is_embedded(tmp_path):
    embed(from_callable("mild", Net().eval(), digest="1"), "digits", tmp_path, device="cpu")
    embed(find_encoder("random:thin-resnet,normalise=l2,precision=bfloat16"), "digits", tmp_path)
    manifests = {s.encoder: read_manifest(s.path)["encoder"] for s in find_stores(tmp_path)}
    assert manifests["mild"]["parameters"] == 8 * 9 + 8 + 16
    said = manifests["random,precision=bfloat16,normalise=l2"]["settings"]
    assert said == {"precision": "bfloat16", "normalise": "l2", "mean": [0.5], "std": [0.25]}
