"""Multiply-adds against the counts that papers print, and what a store and the notes of durations say of its encoder."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from torch import nn

from relic_eval.board import read_costs
from relic_eval.encode import embed
from relic_eval.encoders.cost import gflops
from relic_eval.encoders.load import find_encoder, from_callable, from_module
from relic_eval.store import read_manifest
from relic_eval.timings import note_time, read_times


@pytest.mark.parametrize(
    ("network", "printed"),
    [("resnet18", 1.82), ("vit_small_patch16_224", 4.61)],
)
def test_counts_are_those_of_the_papers(network, printed):
    assert gflops(timm.create_model(network).eval(), 3, 224) == pytest.approx(printed, rel=0.01)


def test_attention_that_is_fused_is_counted_too():
    """Transformers take a fast path where nothing is trained, which torch's counter does not see into."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()

    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x.flatten(2).mT.expand(-1, -1, 8)).mean(1)

    tokens = 4 * 4
    by_hand = tokens * (3 * 8 * 8 + 8 * 8 + 2 * 8 * 16) + 2 * tokens * tokens * 8
    assert gflops(Patches(), 1, 4) == pytest.approx(by_hand / 1e9)
    assert torch.backends.mha.get_fastpath_enabled()


def test_what_is_no_network_or_cannot_be_followed_has_no_count(capsys):
    class Stubborn(nn.Module):
        def forward(self, x):
            raise RuntimeError("not one picture")

    assert gflops(lambda x: x.flatten(1), 1, 8) is None
    assert gflops(Stubborn(), 1, 8) is None
    assert "GFLOPs are not known" in capsys.readouterr().err


def test_a_store_says_what_its_encoder_costs_and_notes_how_long_it_took(tmp_path, capsys):
    module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    conv, _ = from_module("conv", module.eval(), digest="1")
    plain = from_callable("mean", lambda x: x.mean((2, 3)), digest="1")
    paths = embed(conv, "digits", tmp_path, device="cpu") + embed(plain, "digits", tmp_path, device="cpu")
    its = [read_manifest(path)["encoder"]["gflops"] for path in paths]
    assert its == [pytest.approx(4 * 9 * 64 / 1e9), None]
    costs = read_costs(tmp_path)
    assert (costs["conv"].parameters, costs["conv"].dims, costs["mean"].parameters) == (36, 4, None)
    times = {t["encoder"]: t for t in read_times(tmp_path)}
    assert times["conv"]["pictures"] == read_manifest(paths[0])["rows"]
    rate = times["conv"]["pictures"] / times["conv"]["seconds"]
    assert costs["conv"].pictures_a_second == pytest.approx(rate)
    embed(conv, "digits", tmp_path, device="cpu")  # there already: nothing is encoded, nothing noted
    assert len(read_times(tmp_path)) == 2


def test_a_line_that_was_not_finished_is_passed_over(tmp_path):
    note_time(tmp_path, "evaluate a", 3.0)
    with open(tmp_path / "timings.jsonl", "a") as file:
        file.write('{"what": "embed b", "sec')
    assert [t["what"] for t in read_times(tmp_path)] == ["evaluate a"]
    lines = [
        {"what": "w", "seconds": s, "at": 0, "encoder": "pixels", "pictures": n}
        for s, n in ((2.0, 100), (1.0, 50), (0, 9))
    ]
    embed(find_encoder("pixels"), "digits", tmp_path, device="cpu")
    (tmp_path / "timings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert (read_costs(tmp_path)["pixels"].pictures_a_second, read_costs(tmp_path)["pixels"].gflops) == (50.0, None)
