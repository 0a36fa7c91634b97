"""A published figure rerun end to end, on a tiny folder laid out like ImageNet and a repository like DINO's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

import relic_eval.anchor
from relic_eval.anchor import ANCHORS, IMAGENET, Rerun, anchor_lines, rerun, rerun_text
from relic_eval.cells import cell_path, read_cell
from relic_eval.errors import DataError, UnknownNameError
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.records import Embeddings
from relic_eval.store import find_stores, read_store

HUBCONF = '''
import torch
dependencies = ["torch"]


def dino_resnet50(pretrained=True):
    """Mean colours of a 4 x 4 grid."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 16))
'''
WNIDS = ("n01440764", "n01443537", "n02099601")


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """train/WNID/WNID_1.JPEG and val/WNID/ILSVRC2012_val_00000001.JPEG, of other sizes and proportions."""
    folder, rng, number = tmp_path_factory.mktemp("ILSVRC"), np.random.default_rng(0), 0
    for tint, wnid in enumerate(WNIDS):
        for split, count in (("train", 12), ("val", 4)):
            (folder / split / wnid).mkdir(parents=True)
            for i in range(count):
                number += 1
                name = f"{wnid}_{i}" if split == "train" else f"ILSVRC2012_val_{number:08d}"
                pixels = rng.integers(10, 170, (9, 12, 3))
                pixels[..., tint] += rng.integers(-10, 25)  # some look like another class
                picture = Image.fromarray(pixels.astype(np.uint8)).resize((300 + 10 * i, 270))
                picture.save(folder / split / wnid / f"{name}.JPEG")
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dino")
    (folder / "hubconf.py").write_text(HUBCONF)
    return folder


@pytest.fixture(scope="module")
def made(imagenet, repository, tmp_path_factory):
    out = tmp_path_factory.mktemp("anchor")
    return out, rerun("dino-r50", out, encoder=f"hub:{repository}/dino_resnet50", data=str(imagenet), device="cpu")


def eval_knn(train, train_y, test, test_y, k, temperature, classes):
    """DINO's knn_classifier, line by line, on all test images at once."""
    import torch
    from torch import nn

    train = nn.functional.normalize(torch.from_numpy(train), dim=1, p=2).t()
    test = nn.functional.normalize(torch.from_numpy(test), dim=1, p=2)
    distances, indices = torch.mm(test, train).topk(k, largest=True, sorted=True)
    candidates = torch.from_numpy(train_y).view(1, -1).expand(len(test), -1)
    retrieved = torch.gather(candidates, 1, indices)
    one_hot = torch.zeros(len(test) * k, classes)
    one_hot.scatter_(1, retrieved.view(-1, 1), 1)
    weights = distances.clone().div_(temperature).exp_()
    probs = torch.sum(torch.mul(one_hot.view(len(test), -1, classes), weights.view(len(test), -1, 1)), 1)
    _, predictions = probs.sort(1, True)
    return 100.0 * float((predictions[:, 0] == torch.from_numpy(test_y)).float().mean())


def test_an_anchor_reruns_from_a_hub_repository_and_a_folder(made, imagenet, repository):
    out, run = made
    stores = {s.split: read_store(s.path) for s in find_stores(out)}
    train, test = (stores[s] for s in ("train", "test"))
    theirs = eval_knn(np.array(train.x_ND), train.y_N, np.array(test.x_ND), test.y_N, 20, 0.07, 3)
    assert run.value == pytest.approx(theirs)
    assert 34 < run.value < 100  # neither chance nor all: a vote that is wrong would show
    assert run.low < run.value < run.high
    assert run.images == {"train": 36, "test": 12, "classes": 3}
    assert run.agrees is None
    text = rerun_text(run)
    assert "verdict     none: the figure is of 1,281,167 / 50,000 images of 1,000 classes" in text
    assert f"{run.value:.2f}%" in text
    assert "in place of hub:facebookresearch/dino:main/dino_resnet50" in text
    about = read_cell(cell_path(out, find_stores(out)[0].encoder, imagenet.name, "knn-dino-20")).about
    assert about["counts"] == {"train": 30, "valid": 6, "test": 12}


def test_the_network_saw_what_dinos_script_shows_it(made, imagenet, repository):
    """Shorter side 256 by a cubic, centre 224, ImageNet's mean and deviation: torchvision's own transforms."""
    import torch
    from torchvision import transforms

    out, _ = made
    shown = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    network = torch.hub.load(str(repository), "dino_resnet50", source="local").eval()
    store = next(read_store(s.path) for s in find_stores(out) if s.split == "test")
    for row in (0, 5, 11):
        with torch.inference_mode():
            theirs = network(shown(Image.open(imagenet / store.ids[row]).convert("RGB"))[None])[0].numpy()
        np.testing.assert_allclose(store.x_ND[row], theirs, atol=1e-4)


def test_nothing_is_made_twice(made, imagenet, repository, monkeypatch):
    out, run = made
    monkeypatch.setattr("relic_eval.encode.fill", None)
    monkeypatch.setattr("relic_eval.run._make", None)
    again = rerun("dino-r50", out, encoder=f"hub:{repository}/dino_resnet50", data=str(imagenet), device="cpu")
    assert again == run


def test_what_fails_is_said(imagenet, repository, tmp_path, monkeypatch):
    with pytest.raises(UnknownNameError, match="dino-r50"):
        rerun("dino-resnet", tmp_path)
    with pytest.raises(DataError, match=r"nothing there|received"):
        rerun("dino-r50", tmp_path, encoder="pixels", data=str(tmp_path / "no-imagenet"))
    monkeypatch.setattr(relic_eval.anchor, "find_encoder", lambda text: pytest.fail("looked for before the pictures"))
    monkeypatch.delenv("RELIC_EVAL_DATA", raising=False)
    for data in (str(tmp_path / "no-imagenet"), None):
        with pytest.raises(DataError, match=r"nothing there|RELIC_EVAL_DATA"):
            rerun("dino-r50", tmp_path, data=data)
    monkeypatch.undo()
    few = tmp_path / "few"
    for split, count in (("train", 3), ("val", 1)):
        for wnid in WNIDS[:2]:
            (few / split / wnid).mkdir(parents=True)
            for file in sorted((imagenet / split / wnid).iterdir())[:count]:
                (few / split / wnid / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=r"knn-dino-20, received none: ks: expected one of at most 4"):
        rerun("dino-r50", tmp_path / "out", encoder=f"hub:{repository}/dino_resnet50", data=str(few), device="cpu")


def test_the_verdict():
    run = Rerun(
        "dino-r50", ANCHORS["dino-r50"], ANCHORS["dino-r50"].encoder, "imagenet", dict(IMAGENET), 67.4, 67.0, 67.8
    )
    assert run.agrees
    assert "is met" in rerun_text(run)
    assert dataclasses.replace(run, value=67.2).agrees
    assert dataclasses.replace(run, value=67.81).agrees is False
    assert "is not met" in rerun_text(dataclasses.replace(run, value=66.9))
    assert dataclasses.replace(run, images={**IMAGENET, "test": 49_999}).agrees is None


def test_anchors_are_of_protocols_that_there_are():
    assert ANCHORS["dino-r50"].figure == 67.5
    for anchor in ANCHORS.values():
        evaluator = PROTOCOLS[anchor.protocol]
        assert (evaluator.ks, evaluator.vote, evaluator.temperature, evaluator.similarity) == (
            (anchor.k,),
            "softmax",
            0.07,
            "cosine",
        )
    assert len(anchor_lines()) == len(ANCHORS)
    assert relic_eval.anchor.TOLERANCE < 100 * 0.0041  # less than the interval of one accuracy over 50,000 images


def test_one_k_is_searched_in_all_training_rows_and_validates_nothing():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(4), 30))
    x = (np.eye(4)[y] + rng.normal(0, 0.8, (120, 4))).astype(np.float32)
    train, valid, test = (Embeddings(x[i::3], y[i::3], tuple("abcd"), ids=np.arange(40).astype(str)) for i in range(3))
    one, four = (PROTOCOLS[p](train, valid, test) for p in ("knn-dino-20", "knn-dino"))
    (row,) = (r for r in four.rows if r.params["k"] == 20)
    assert (one.rows[0].value, one.rows[0].low, one.rows[0].high) == (row.value, row.low, row.high)
    assert one.curves["name"].tolist() == ["top1"]
    assert four.curves["name"].tolist() == ["validation top1"] * 2 + ["top1"] * 2
    both = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
    assert 100 * row.value == pytest.approx(eval_knn(*both, test.x_ND, test.y_N, 20, 0.07, 4))
