"""Presets, their sources, and what can be known of published budgets without running them."""

from __future__ import annotations

import pytest

from pretrain.config import METHODS, SOURCES, override, steps_of
from pretrain.presets import changed, explain, names, preset, shown
from relic_eval.errors import UnknownNameError


@pytest.mark.parametrize("name", names())
def test_every_value_has_a_source_and_a_word_for_what_it_does(name):
    rows = explain(preset(name))
    assert all(source in SOURCES for _, _, source, _ in rows)
    assert all(about for *_, about in rows)


@pytest.mark.parametrize("name", names())
def test_what_is_shown_gives_the_settings_back(name):
    config = preset(name).config
    assert override(type(config)(), {setting: v for setting, v, *_ in explain(preset(name))}) == config


def test_recalled_values_are_not_called_seen():
    """What could not be read again of RELICv2, by the sheet of facts."""
    sources = preset("relicv2-imagenet-1000ep").sources
    for name in ("tau", "alpha", "beta", "negatives", "p_mask", "lr", "weight_decay", "batch", "large", "small", "ema"):
        assert sources[name] == "recalled", name
    assert sources["background"] == sources["small_invariance"] == sources["sticky"] == "chosen"
    assert preset("byol-imagenet-1000ep").sources["lr"] == "seen"


def test_published_budgets_are_those_of_imagenet():
    """1,281,167 pictures in batches of 4,096: LARS at base * 4096 / 256."""
    config = preset("byol-imagenet-1000ep").config
    assert steps_of(config, 1_281_167) == 312_000
    assert config.lr == pytest.approx(3.2)
    assert preset("relicv2-imagenet-1000ep").config.lr == pytest.approx(4.8)
    assert round(preset("byol-imagenet-300ep").config.warmup * 300) == 10


def test_a_value_of_ones_own_is_called_so():
    given = changed(preset("simclr"), {"tau": "0.5"})
    assert given.config.tau == 0.5
    assert given.sources["tau"] == "yours"
    assert preset("simclr").sources["tau"] == "recalled"


def test_methods_are_presets_of_their_own():
    assert [type(preset(name).config) for name in METHODS] == list(METHODS.values())
    with pytest.raises(UnknownNameError, match="Did you mean 'relicv2-imagenet-1000ep'"):
        preset("relicv2-imagenet-100ep")
    assert shown((1.0, 0.1)) == "1,0.1"


def test_epochs_decide_the_steps():
    config = override(METHODS["byol"](), {"epochs": "1.5", "batch": "10"})
    assert steps_of(config, 47) == 6
    assert steps_of(override(config, {"epochs": "0"}), 47) == config.steps
