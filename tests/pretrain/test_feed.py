"""Pictures that are decoded while a run trains give the numbers of held ones, and the threads that decode them end."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain import checkpoint, feed
from pretrain.config import Byol, Relicv2, Supervised, override
from pretrain.feed import batch_masks, batch_rows, channel_moments
from pretrain.saliency import saliency_masks
from pretrain.squares import Held, Listed, held, opened
from pretrain.train import begin, pretrain
from relic_eval import training
from relic_eval.data.folder import folder_pictures
from relic_eval.data.opening import open_square
from relic_eval.errors import DataError
from tests.pretrain.test_ranks import launched

DATA = {"name": "blots", "digest": "d"}
SETTINGS = {
    "steps": 5,
    "batch": 8,
    "side": 16,
    "checkpoint_every": 2,
    "hidden": 16,
    "out": 8,
    "small_side": 8,
    "negatives": 3,
}


def settings(method, **more):
    return override(method, {n: v for n, v in {**SETTINGS, **more}.items() if hasattr(method, n)})


def make_pictures(top, count=20):
    """A folder of two classes of JPEGs of several shapes, each with a blot."""
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 90, (20 + number, 25, 3)).astype(np.uint8)
        pixels[5:12, 6:14] = rng.integers(120, 255, 3)
        file = top / f"{number % 2}" / f"{number:02}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return folder_pictures(top, "all")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("blots"))


def listed(source, side=18):
    return Listed(source, np.arange(len(source))[1:], side)


def array(source, side=18):
    return source.read(np.arange(len(source))[1:], side)[0]


def digest(step):
    return checkpoint.read_about(step)["sha256"]


def decoders():
    return [t for t in threading.enumerate() if t.name.startswith("decode")]


@pytest.mark.parametrize(
    "config",
    [settings(Relicv2(), p_mask=0.5), settings(Supervised(), accumulate=2), settings(Byol(), monitor_every=3)],
    ids=["masks", "parts", "monitor"],
)
def test_decoded_pictures_give_the_weights_of_held_ones(config, source, tmp_path, monkeypatch):
    y = source.y_N[1:]
    one = pretrain(config, array(source), y, tmp_path / "held", data=DATA)
    monkeypatch.setattr("pretrain.squares.threads", lambda: 3)
    other = pretrain(config, listed(source), y, tmp_path / "decoded", data=DATA)
    assert digest(other) == digest(one)
    assert (tmp_path / "decoded" / "views.png").read_bytes() == (tmp_path / "held" / "views.png").read_bytes()
    assert checkpoint.read_about(other)["input"] == checkpoint.read_about(one)["input"]
    if config.monitor_every:
        assert (tmp_path / "decoded/monitor.csv").read_text() == (tmp_path / "held/monitor.csv").read_text()
    assert decoders() == []


@pytest.mark.parametrize("first", ["held", "decoded"])
def test_a_run_is_taken_up_either_way(first, source, tmp_path, monkeypatch):
    config, kinds = settings(Relicv2(), p_mask=0.5), {"held": array(source), "decoded": listed(source)}
    whole = pretrain(config, kinds["held"], None, tmp_path / "whole", data=DATA)
    real = checkpoint.save

    def killed(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, kinds.pop(first), None, tmp_path / "parts", data=DATA)
    assert decoders() == []
    with monkeypatch.context() as patch:  # what the first part measured is not measured again
        patch.setattr(feed, "channel_moments", None)
        again = pretrain(config, kinds.popitem()[1], None, tmp_path / "parts", data=DATA)
    assert digest(again) == digest(whole)


TRAIN = """
import sys
from pathlib import Path
import torch
torch.set_default_dtype(torch.float64)
from pretrain.config import Byol
from pretrain.train import begin, pretrain
from relic_eval.data.folder import folder_pictures
from tests.pretrain.test_feed import DATA, array, listed, settings
source = folder_pictures(Path(sys.argv[1]), "all")
for name, pictures in (("held", array(source)), ("decoded", listed(source))):
    pretrain(settings(Byol(), steps=2, lr=1e-4), pictures, None, Path(sys.argv[2]) / name, data=DATA)
"""


def test_two_ranks_decode_what_one_process_holds(source, tmp_path):
    launched(TRAIN, tmp_path, source.paths[0].rpartition("/0/")[0], tmp_path)
    one, two = (checkpoint.latest(tmp_path / name) for name in ("held", "decoded"))
    assert digest(one) == digest(two)
    torch.set_default_dtype(torch.float64)
    try:
        whole = pretrain(settings(Byol(), steps=2, lr=1e-4), listed(source), None, tmp_path / "one", data=DATA)
    finally:
        torch.set_default_dtype(torch.float32)
    assert checkpoint.read_about(whole)["input"] == checkpoint.read_about(two)["input"]
    expected = checkpoint.load(whole)
    for name, tensor in checkpoint.load(two).items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-5, rtol=1e-5, msg=name)


def test_an_unreadable_picture_is_named_and_checkpoints_stay(tmp_path):
    source = make_pictures(tmp_path / "blots")
    config = settings(Supervised(), steps=4, batch=4, checkpoint_every=1)
    before = pretrain(
        settings(Supervised(), steps=2, batch=4), listed(source), source.y_N[1:], tmp_path / "a", data=DATA
    )
    row = int(batch_rows(1, 19, 4, 0)[2])  # of the second step
    bad = source.paths[1:][row]
    known = checkpoint.read_about(before)["input"]
    with open(bad, "wb") as file:
        file.write(b"no picture")
    with pytest.raises(DataError, match=rf"received 1 in this batch that are not: {bad}: .* checkpoints so far are as"):
        pretrain(config, listed(source), source.y_N[1:], tmp_path / "run", data=DATA)
    assert checkpoint.latest(tmp_path / "run") is None  # found while the moments were measured
    assert decoders() == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "channel_moments", lambda *_: [torch.tensor(known[n]) for n in ("mean", "std")])
        with pytest.raises(DataError, match=f"{bad}: .*another --name"):
            pretrain(config, listed(source), source.y_N[1:], tmp_path / "run", data=DATA)
    step = checkpoint.latest(tmp_path / "run")
    assert step.name == "step-00000001"
    assert checkpoint.load(step)
    assert decoders() == []


def test_size_alone_decides_what_is_held(source, tmp_path, monkeypatch):
    rows = np.arange(4)
    assert training._images(source, rows, 10).shape == (4, 10, 10, 3)
    monkeypatch.setattr(training, "HELD", 1200)
    assert isinstance(training._images(source, rows, 10), np.ndarray)
    monkeypatch.setattr(training, "HELD", 1199)
    assert isinstance(training._images(source, rows, 10), Listed)
    monkeypatch.setattr(training, "HELD", 2399)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # each process holds its own
    assert isinstance(training._images(source, rows, 10), Listed)
    top = source.paths[0].rpartition("/0/")[0]
    changes = {n: str(v) for n, v in SETTINGS.items() if hasattr(Byol(), n)} | {"steps": "1"}
    run = training.train("byol", top, tmp_path, name="b", changes=changes, device="cpu")
    assert checkpoint.latest(run).name == "step-00000001"


def test_batches_of_bytes_are_those_of_the_array(source):
    pixels = torch.from_numpy(array(source)).permute(0, 3, 1, 2)
    order = [torch.tensor(rows) for rows in ([3, 1, 18, 0, 7], [2], [5, 5, 6])]
    with opened(listed(source)) as decoded:
        decoded.expect(order[:2])
        for rows in reversed(order):
            some = decoded.take(rows)
            assert torch.equal(some, pixels[rows])
            assert some.is_contiguous()
        assert decoded.coming == {}
        assert (len(decoded), decoded.channels, decoded.side) == (19, 3, 18)
    assert isinstance(held(array(source)), Held)


def test_a_mask_depends_on_its_picture_alone(source):
    whole = saliency_masks(torch.from_numpy(array(source)).permute(0, 3, 1, 2))
    rows = torch.tensor([4, 0, 11])
    with opened(listed(source)) as decoded, opened(array(source)) as here:
        for pictures in (decoded, here):
            masks = batch_masks(settings(Relicv2()), pictures, None)
            assert torch.equal(masks(rows, pictures.take(rows)), whole[rows])
            assert batch_masks(settings(Relicv2(), p_mask=0), pictures, None)(rows, rows).shape == (3, 1, 1, 1)
            assert len(batch_masks(Byol(), pictures, None)(rows, rows)) == 0
    assert 0 < whole.float().mean() < 1


def test_moments_are_those_of_all_or_of_drawn_pictures(source, monkeypatch):
    pixels = array(source).astype(np.float64) / 255

    def expected(some):
        return some.mean((0, 1, 2)), some.std((0, 1, 2), ddof=1)

    for limit, rows in ((19, np.arange(19)), (6, np.random.default_rng(0).choice(19, 6, replace=False))):
        monkeypatch.setattr(feed, "MEASURED", limit)
        monkeypatch.setattr(feed, "CHUNK", 2000)
        with opened(listed(source)) as decoded:
            found, same = channel_moments(decoded), channel_moments(held(array(source)))
        for mine, other, reference in zip(found, same, expected(pixels[rows]), strict=True):
            assert torch.equal(mine, other)
            np.testing.assert_allclose(mine, reference, rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "arguments", "rows"),
    [
        (0, (19, 4, 0), [2, 10, 3, 14]),
        (3, (19, 4, 0), [8, 11, 6, 13]),
        (4, (19, 4, 0), [10, 0, 13, 16]),
        (77, (19, 4, 0), [4, 16, 14, 7]),
        (3, (50, 8, 3), [21, 20, 24, 15, 0, 38]),
        (9, (50, 8, 3), [2, 29, 34, 3, 17, 9]),
    ],
)
def test_batches_are_what_they_were(step, arguments, rows):
    assert batch_rows(step, *arguments).tolist()[:6] == rows


def test_too_many_pixels_are_refused_whatever_becomes_of_warnings(source, monkeypatch):
    """Threads share the filters of warnings: a refusal must not hang on them."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    for action in ("error", "ignore"):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            with pytest.raises(DataError, match="400"):
                open_square(source.paths[0], 8)


def test_the_next_step_is_read_while_one_computes(source):
    config = settings(Supervised(), accumulate=2, steps=2)
    with opened(listed(source)) as pictures:
        run = begin(config, pictures, source.y_N[1:], "cpu")
        assert pictures.coming == {}
        run.learn(0)
        parts = [batch_rows(1, 19, 8, 0)[:4], batch_rows(1, 19, 8, 0)[4:]]
        assert list(pictures.coming) == [rows.numpy().tobytes() for rows in parts]
        run.learn(1)
        assert pictures.coming == {}  # there is no third step
