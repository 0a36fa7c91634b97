"""Masks that are made once: read again, made by one of several processes, and made again where they are damaged or were cut off."""

from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import pytest
import torch

from pretrain.saliency.packed import pack, together
from pretrain.saliency.store import MaskRequest, masks_folder, read_masks, stored
from relic_eval.errors import DataError
from relic_eval.records import settings_key

WANTED = MaskRequest("rbd", "birds", "all", "data", "rows", 13, "settings")


def some(count=5):
    return np.random.default_rng(0).random((count, 13, 13)) < 0.5


def life(out, seconds):
    """A process of its own that asks for masks, and notes that it makes them where it does."""
    child = os.fork()
    if child:
        return child

    def make():
        with open(out / "made", "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        return pack(np.eye(13, dtype=bool)[None])

    try:
        _, masks = stored(out, WANTED, make)
        os._exit(0 if np.array_equal(masks.packed, pack(np.eye(13, dtype=bool)[None]).packed) else 2)
    finally:
        os._exit(1)


def made(out):
    file = out / "made"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.mark.parametrize("wide", [8, 13, 16])
def test_packed_masks_are_those_that_were_packed(wide):
    mask = np.random.default_rng(0).random((6, 4, wide)) < 0.5
    rows = torch.tensor([4, 0, 4])
    found = pack(mask)[rows]
    assert found.dtype == torch.bool
    assert np.array_equal(found.numpy(), mask[rows.numpy()][:, None])
    assert len(pack(mask)) == 6
    assert pack(mask).foreground() == pytest.approx(mask.mean((1, 2)))
    assert np.array_equal(together([mask[:1], mask[1:]]).packed, pack(mask).packed)


def test_masks_are_made_once_and_read_from_the_disk(tmp_path):
    mask = some()
    folder, first = stored(tmp_path, WANTED, lambda: pack(mask))
    again, second = stored(tmp_path, WANTED, lambda: pytest.fail("made again"))
    assert folder == again == masks_folder(tmp_path, WANTED)
    assert isinstance(second.packed, np.memmap)
    for masks in (first, second):
        assert np.array_equal(masks[torch.arange(5)][:, 0].numpy(), mask)
    about = json.loads((folder / "masks.json").read_text())
    assert about["foreground"] == pytest.approx(mask.mean(), abs=1e-6)
    assert (about["count"], about["width"], about["empty"]) == (5, 13, 0)
    assert about["request"]["maker"] == "rbd"
    assert sorted(p.name for p in folder.parent.iterdir()) == [folder.name]  # no lock is left


def test_each_part_of_a_request_changes_the_place_but_for_the_name():
    for name in ("maker", "split", "data", "rows", "side", "settings", "version"):
        value = 99 if name in ("side", "version") else "other"
        assert settings_key(WANTED) != settings_key(MaskRequest(**{**vars(WANTED), name: value}))
    assert settings_key(WANTED) == settings_key(MaskRequest(**{**vars(WANTED), "dataset": "other"}))


def test_damaged_masks_are_made_again(tmp_path, capsys):
    folder, _ = stored(tmp_path, WANTED, lambda: pack(some()))
    file = folder / "masks.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"expected the masks that masks\.json tells of"):
        read_masks(folder)
    _, masks = stored(tmp_path, WANTED, lambda: pack(some()))
    assert np.array_equal(masks[torch.arange(5)][:, 0].numpy(), some())
    assert "It is made again" in capsys.readouterr().err


def test_a_maker_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        stored(tmp_path, WANTED, lambda: 1 // 0)
    assert [p for p in (tmp_path / "masks").rglob("*") if p.is_file()] == []
    stored(tmp_path, WANTED, lambda: pack(some()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is copied where it stands")
def test_of_several_processes_one_makes_and_the_others_wait(tmp_path):
    lives = [life(tmp_path, 0.5) for _ in range(4)]
    assert [os.waitpid(child, 0)[1] for child in lives] == [0] * 4
    assert len(made(tmp_path)) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is copied where it stands")
def test_a_killed_maker_keeps_nobody_waiting(tmp_path):
    first = life(tmp_path, 600)
    while not made(tmp_path):
        assert os.waitpid(first, os.WNOHANG) == (0, 0), "it ended by itself"
        time.sleep(0.01)
    second = life(tmp_path, 0)
    time.sleep(0.2)
    assert os.waitpid(second, os.WNOHANG) == (0, 0), "it did not wait"
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert os.waitpid(second, 0)[1] == 0
    assert made(tmp_path) == [first, second]
    folder = masks_folder(tmp_path, WANTED)
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]  # nothing is left of what was cut off
