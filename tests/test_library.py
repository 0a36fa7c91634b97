"""The library as people call it: modules given back as they were, arrays of every kind, names instead of letters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import relic_eval
from relic_eval.arrays import labels, paired
from relic_eval.errors import ArgumentError, DataError
from relic_eval.store import find_stores, read_manifest


def network(channels=1, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)


def test_a_module_is_encoded_in_evaluation_mode_and_given_back_as_it_was(tmp_path):
    module = network()
    module[1].eval()
    modes = [part.training for part in module.modules()]
    weights = {name: t.clone() for name, t in module.state_dict().items()}
    first = relic_eval.load(relic_eval.embed(module, "digits", tmp_path / "a", name="net")[0])
    second = relic_eval.load(relic_eval.embed(module, "digits", tmp_path / "b", name="net")[0])
    np.testing.assert_array_equal(first.x_ND, second.x_ND)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(weights[name], t) for name, t in module.state_dict().items())


def test_other_weights_are_another_store_without_a_word_from_the_user(tmp_path):
    module = network()
    (first,) = relic_eval.embed(module, "digits", tmp_path, name="net")
    assert relic_eval.embed(module, "digits", tmp_path, name="net") == [first]
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] += 1
    (second,) = relic_eval.embed(module, "digits", tmp_path, name="net")
    assert second != first
    assert [s.path for s in find_stores(tmp_path)] == [second]
    assert read_manifest(second)["encoder"]["parameters"] == sum(p.numel() for p in module.parameters())
    relu, gelu = nn.Sequential(nn.Flatten(), nn.ReLU()), nn.Sequential(nn.Flatten(), nn.GELU())
    assert relic_eval.embed(relu, "digits", tmp_path, name="f") != relic_eval.embed(gelu, "digits", tmp_path, name="f")


def scaled(factor):
    return lambda x: x.mean((2, 3)) * factor


MODEL = nn.Flatten()


def through_a_global(x):
    return MODEL(x)


def test_another_function_is_another_store(tmp_path, monkeypatch):
    def stores(function):
        return relic_eval.embed(function, "digits", tmp_path, name="f")

    assert stores(lambda x: x.mean((2, 3))) != stores(lambda x: x.amax((2, 3)))
    assert stores(scaled(1)) == stores(scaled(1)) != stores(scaled(2))
    module = network().eval()
    first = stores(lambda x: module(x))
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] += 1
    assert stores(lambda x: module(x)) != first
    first = stores(through_a_global)
    monkeypatch.setattr(f"{__name__}.MODEL", nn.Sequential(nn.Flatten(), nn.ReLU()), raising=True)
    assert stores(through_a_global) != first
    assert relic_eval.embed(through_a_global, "digits", tmp_path, name="f", version="2") != first


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"side": -1}, "side: expected a whole number of at least 8"),
        ({"side": "64"}, "side: expected a whole number"),
        ({"batch": 0}, "batch: expected a whole number of at least 1"),
        ({"batch": 1.5}, "batch: expected a whole number"),
    ],
)
def test_numbers_that_are_none(tmp_path, words, text):
    with pytest.raises(ArgumentError, match=text):
        relic_eval.embed(lambda x: x.flatten(1), "digits", tmp_path, **words)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x: None, "a tensor of features"),
        (lambda x: (x.flatten(1), x), "a tensor of features"),
        (lambda x: x, "Pool the feature map"),
        (
            lambda x: x.flatten(1).mean(0, keepdim=True),
            r"features \(2, D\), received shape \(1, 64\)\. Return one row a picture",
        ),
        (lambda x: x.mean((1, 2, 3)), r"received shape \(2,\)\. Return one row a picture"),
        (lambda x: x.flatten(1)[:, : len(x)], "as many features for every batch"),
        (nn.Flatten, "received the class Flatten"),
    ],
)
def test_functions_that_give_no_features(tmp_path, function, text):
    with pytest.raises(ArgumentError, match=text):
        relic_eval.embed(function, "digits", tmp_path, batch=40)
    assert not list(tmp_path.rglob("manifest.json"))


def test_probes_check_their_numbers():
    for words in ({"k": 1.5}, {"k": "5"}, {"k": 0}):
        with pytest.raises(ArgumentError, match="k: expected a whole number of at least 1"):
            relic_eval.blocks(X, Y, **words)
    with pytest.raises(ArgumentError, match="seed: expected a whole number"):
        relic_eval.linear_probe(X, Y, seed=-1)
    with pytest.raises(ArgumentError, match="all text or all numbers"):
        relic_eval.knn(X, [1, "1"] * 30)


def test_settings_of_pretraining_are_given_as_they_are(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 255, (32, 28, 28)).astype(np.uint8)
    step = relic_eval.pretrain("byol", pictures, None, tmp_path, steps=1, batch=16, blur=(1.0, 0.1))
    assert '"blur": [\n   1.0,\n   0.1\n  ]' in (step / "checkpoint.json").read_text()


def test_a_comparison_reports_itself_whatever_else_is_there(tmp_path):
    rng = np.random.default_rng(0)
    relic_eval.compare(X, X, ["c"] * 20 + ["d"] * 40, names=("x", "y"), out=tmp_path)
    noise = X + rng.normal(0, 0.5, X.shape)
    both = relic_eval.compare(noise, X, Y, names=("zeta", "alpha"), out=tmp_path)
    assert both.board.baseline == "zeta"
    assert {row.encoder for row in both.board.rows} == {"zeta", "alpha"}
    page = both.report().read_text()
    assert "--baseline zeta" in page
    assert '<th scope="row">x</th>' not in page


def test_half_precision_weights_count_too(tmp_path):
    flat = nn.Sequential(nn.Flatten())
    flat.register_buffer("scale", torch.ones(2, dtype=torch.bfloat16))
    first = relic_eval.embed(flat, "digits", tmp_path, name="flat")
    flat.scale[0] = 2
    assert relic_eval.embed(flat, "digits", tmp_path, name="flat") != first


def test_grey_pictures_for_an_rgb_module(tmp_path):
    module = network(channels=3)
    with pytest.raises(RuntimeError) as raised:
        relic_eval.embed(module, "digits", tmp_path, name="net")
    assert "channels=" in "".join(raised.value.__notes__)
    assert module.training
    (path,) = relic_eval.embed(module, "digits", tmp_path, name="net", channels=3, side=16, batch=500)
    assert relic_eval.load(path).x_ND.shape == (1797, 4)


def test_a_named_encoder_under_another_name(tmp_path):
    relic_eval.embed("pixels", "digits", tmp_path, name="raw")
    assert [s.encoder for s in find_stores(tmp_path)] == ["raw"]


def test_what_is_no_encoder(tmp_path):
    with pytest.raises(ArgumentError, match="encoder: expected a name, a module or a function, received int"):
        relic_eval.embed(3, "digits", tmp_path)


X = np.repeat(np.eye(2), 30, 0)
Y = ["a"] * 30 + ["b"] * 30


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor(X, dtype=torch.bfloat16),
        torch.tensor(X, requires_grad=True),
        pd.DataFrame(X),
        X.view(np.matrix),
        X.tolist(),
        X.astype(">f4"),
        X.astype(bool),
    ],
    ids=["bfloat16", "gradient", "DataFrame", "matrix", "lists", "big endian", "bool"],
)
def test_arrays_of_every_kind(x):
    assert relic_eval.linear_probe(x, Y).rows[0].value == 1
    assert relic_eval.linear_probe(x, pd.Series(Y, dtype="string")).rows[0].value == 1
    assert relic_eval.linear_probe(x, pd.Categorical(Y)).rows[0].value == 1


def test_arrays_that_are_none():
    with pytest.raises(ArgumentError, match="expected rows of one length"):
        relic_eval.linear_probe([[1.0], [1.0, 2.0]], ["a", "b"])
    with pytest.raises(ArgumentError, match=r"none in 1 rows \(the first is row 59\)"):
        relic_eval.linear_probe(X, pd.Series([*Y[:-1], pd.NA], dtype="string"))
    with pytest.raises(ArgumentError, match=r"a label for every row, received none in 1 rows"):
        relic_eval.linear_probe(X, [*Y[:-1], None])
    with pytest.raises(ArgumentError, match=r"a label for every row, received none in 1 rows"):
        relic_eval.linear_probe(X, [*Y[:-1], float("nan")])
    with pytest.raises(ArgumentError, match=r"none in 60 rows"):
        relic_eval.linear_probe(X, [float("nan")] * 60)


def test_a_superclass_for_every_class(tmp_path):
    with pytest.raises(ArgumentError, match="expected one for every class, received none for 'b'"):
        relic_eval.save_embeddings(X, Y, tmp_path, name="m", superclasses={"a": "x"})
    assert not list(tmp_path.iterdir())


def test_names_come_in_lists(tmp_path):
    relic_eval.save_embeddings(X, Y, tmp_path, name="m")
    with pytest.raises(ArgumentError, match=r"protocols: expected a list of names, received 'knn'. For example"):
        relic_eval.evaluate(tmp_path, protocols="knn")
    with pytest.raises(ArgumentError, match="Did you mean 'linear-byol'"):
        relic_eval.evaluate(tmp_path, protocols=["linear-bylo"])


def test_protocols_that_stand_on_no_board(tmp_path):
    relic_eval.save_embeddings(X, Y, tmp_path, name="m")
    assert relic_eval.evaluate(tmp_path, protocols=["blocks", "discriminability"]).empty
    assert len(list(tmp_path.glob("cells/*/*/*"))) == 2
    assert relic_eval.evaluate(tmp_path, protocols=["blocks", "knn"])["protocol"].tolist() == ["knn"]


def test_a_board_of_any_protocol_of_accuracy(tmp_path):
    x = np.repeat(np.eye(2), 30, 0)
    relic_eval.save_embeddings(x, [0] * 30 + [1] * 30, tmp_path, name="mine")
    table = relic_eval.evaluate(tmp_path, protocols=["ridge", "spectrum"])
    assert table[["protocol", "value"]].values.tolist() == [["ridge", 1.0]]


def test_a_row_of_zeros_is_named_by_its_own_number(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[7] = 0
    with pytest.raises(ArgumentError, match=r"b: expected no row of zeros.* 1 \(the first is row 7\)"):
        relic_eval.compare(np.ones((60, 2)), x, np.arange(60) % 2)
    relic_eval.save_embeddings(x, np.arange(60) % 2, tmp_path, name="mine")
    assert "1 of 60 rows are all zero (the first is row 7)" in capsys.readouterr().err


def test_a_single_class_cannot_be_compared():
    with pytest.raises(ArgumentError, match="labels: expected at least two classes, received one"):
        relic_eval.compare(X, X, np.zeros(len(X), int))


def test_other_readings_of_the_distances():
    x, y = [[0.0], [2.0], [10.0], [14.0]], ["a", "a", "b", "b"]
    assert relic_eval.distances(x, y, reading="fisher").ratio == pytest.approx((15.125 + 3.78125) / 2)
    assert relic_eval.distances(x, y, metric="squared").ratio > relic_eval.distances(x, y).ratio


@pytest.mark.parametrize(
    ("y", "text"),
    [
        ([0.5, 1, 1], "received fractions, NaN or infinity"),
        ([0, np.nan, 1], "received fractions, NaN or infinity"),
        (["a", "b", "b"], r"class_numbers\(\) makes them of names"),
    ],
)
def test_what_is_said_of_labels_that_are_no_numbers(y, text):
    with pytest.raises(ArgumentError, match=text):
        labels("y_N", y)


def test_features_that_lie_on_their_side_are_recognised():
    with pytest.raises(ArgumentError, match=r"2 labels, one a row, received 3. x_ND has as many columns: pass x_ND.T"):
        paired(np.ones((2, 3)), np.array([0, 1, 1]))


def test_two_names_for_two_embeddings():
    with pytest.raises(ArgumentError, match="expected two different names"):
        relic_eval.compare(X, X, Y, names=("a", "a"))


def test_unknown_protocols_and_tasks_of_a_board(tmp_path):
    relic_eval.save_embeddings(X, Y, tmp_path, name="m")
    relic_eval.evaluate(tmp_path)
    with pytest.raises(ArgumentError, match="Did you mean 'knn'"):
        relic_eval.leaderboard(tmp_path, protocols=["kn"])
    with pytest.raises(ArgumentError, match="task: expected one of mine, received 'mien'"):
        relic_eval.leaderboard(tmp_path, tasks=["mien"])
    with pytest.raises(ArgumentError, match="encoder: expected one of m"):
        relic_eval.report(tmp_path, encoders=["n"])


def test_a_module_and_a_name_on_a_board_in_one_call(tmp_path):
    folder, rng = tmp_path / "birds", np.random.default_rng(0)
    for number, kind in enumerate("abc"):
        (folder / kind).mkdir(parents=True)
        for i in range(15):
            grey = rng.integers(0, 60, (16, 16))
            grey[5 * number : 5 * number + 5] += 150  # a bright band where the class says
            Image.fromarray(grey.astype(np.uint8)).save(folder / kind / f"{i}.png")
    network = torch.nn.Sequential(torch.nn.AvgPool2d(5), torch.nn.Flatten(), torch.nn.Dropout(0.5)).train()
    board = relic_eval.transfer(
        {"mine": network, "pixels": "pixels", "broken": lambda x: x[:, 0]},
        str(folder),
        tmp_path / "out",
        protocols=["knn", "linear-byol"],
    )
    assert set(board["encoder"]) == {"mine", "pixels"}
    assert len(board) == 4
    assert board["value"].min() > 0.8
    assert network.training  # given back as it was
    again = relic_eval.transfer({"mine": network}, str(folder), tmp_path / "out", protocols=["knn"])
    assert again["encoder"].tolist() == ["mine"]
    with pytest.raises(DataError, match="Pool the feature map"):
        relic_eval.transfer({"broken": lambda x: x[:, 0]}, str(folder), tmp_path / "none", protocols=["knn"])


def test_a_task_of_ones_own_is_embedded_and_judged(tmp_path):
    rng = np.random.default_rng(0)
    for half, count in (("train", 10), ("test", 4)):
        for number, kind in enumerate("ab"):
            (tmp_path / half / kind).mkdir(parents=True)
            for i in range(count):
                grey = rng.integers(0, 60, (16, 16))
                grey[8 * number : 8 * number + 8] += 150
                Image.fromarray(grey.astype(np.uint8)).save(tmp_path / half / kind / f"{i}.png")
    mine = relic_eval.task("birds of mine", train=tmp_path / "train", test=tmp_path / "test", metric="mean_per_class")
    assert len(relic_eval.embed("pixels", mine, tmp_path / "one")) == 2
    board = relic_eval.transfer(["pixels"], mine, tmp_path / "out", protocols=["knn"])
    assert board[["task", "metric", "value"]].values.tolist() == [["birds of mine", "mean_per_class", 1.0]]


def test_a_board_of_failures_is_no_one_elses(tmp_path):
    assert len(relic_eval.transfer(["pixels"], "digits", tmp_path, protocols=["knn"])) == 1
    with pytest.raises(DataError, match="AttributeError"):
        relic_eval.transfer({"mine": lambda x: x.nothing}, "digits", tmp_path, protocols=["knn"])


def test_a_module_in_training_mode_is_found_at_any_side(tmp_path):
    for side in (16, 400):
        with pytest.raises(ArgumentError, match="depend on the others of its batch"):
            relic_eval.embed(
                lambda x: x.mean((2, 3)) - x.mean((0, 2, 3)), "digits", tmp_path, name=f"centred{side}", side=side
            )


def test_a_task_with_superclasses_is_taken_through_a_grid(tmp_path):
    drawn = np.random.default_rng(0)
    for split, many in (("train", 8), ("test", 4)):
        for name in ("ant", "bee", "cat"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(many):
                pixels = drawn.integers(0, 256, (12, 12, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / name / f"{number}.png")
    above = {"ant": "insect", "bee": "insect", "cat": "mammal"}
    places = {"train": tmp_path / "train", "test": tmp_path / "test"}
    own = relic_eval.task("zoo", **places, superclasses=above)
    board = relic_eval.transfer({"raw": "pixels"}, own, tmp_path / "out", protocols=["knn"])
    assert board["task"].tolist() == ["zoo", "zoo-super"]
    wrong = relic_eval.task("zoo2", **places, superclasses={"ant": "insect", "bee": "insect", "cta": "mammal"})
    with pytest.raises(DataError, match="received none for 'cat' and one for 'cta', which is no class"):
        relic_eval.transfer({"raw": "pixels"}, wrong, tmp_path / "out2", protocols=["knn"])


def test_leaks_are_found_dropped_and_results_of_two_folders_put_together(tmp_path):
    drawn = np.random.default_rng(0)
    for split, many in (("train", 12), ("test", 6)):
        for name in ("a", "b"):
            (tmp_path / "set" / split / name).mkdir(parents=True)
            for number in range(many):
                pixels = drawn.integers(0, 256, (16, 16, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "set" / split / name / f"{number}.png")
    twice = tmp_path / "set" / "train" / "a" / "0.png"
    twice.write_bytes((tmp_path / "set" / "test" / "b" / "3.png").read_bytes())
    outs = [tmp_path / "one", tmp_path / "two"]
    for out, encoder in zip(outs, ("pixels", lambda x: x.mean((2, 3))), strict=True):
        relic_eval.embed(encoder, tmp_path / "set", out)
    found = relic_eval.leaks(tmp_path / "set", outs[0])
    assert [(leaks.task, leaks.tested("exact")) for leaks in found] == [("set", 1)]
    assert [leaks.encoder for leaks in relic_eval.leaks(tmp_path / "set", outs[0], encoders=["pixels"])] == [
        "",
        "pixels",
    ]
    relic_eval.leaks(tmp_path / "set", outs[1])
    for out in outs:
        relic_eval.evaluate(out, protocols=["knn"], drop_leaks=True)
    done = relic_eval.merge(outs, tmp_path / "both")
    assert (done.cells, done.there) == (2, 0)
    assert sorted(relic_eval.leaderboard(tmp_path / "both", protocols=["knn"])["encoder"]) == ["mine", "pixels"]


def test_what_stands_on_no_board_says_where_its_numbers_are(tmp_path, capsys):
    relic_eval.save_embeddings(np.eye(2)[np.repeat([0, 1], 30)], np.repeat([0, 1], 30), tmp_path, name="mine")
    assert not len(relic_eval.evaluate(tmp_path, protocols=["spectrum"]))
    text = capsys.readouterr().err
    assert (
        f"spectrum is no accuracy and stands on no board, so the table is empty: 'relic-eval list results --out {tmp_path}'"
        in text
    )
