"""ImageNet, and the sets that its classifiers are tested on, in the layouts in which they are published.

All have ImageNet's 1000 classes in its order, whichever of them they show: a head that was trained on ImageNet tests on each.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from relic_eval.data.classes import column, table
from relic_eval.data.named import Counts, Named
from relic_eval.data.opening import is_picture, open_upright, read_pictures, square_of
from relic_eval.data.rows import Rows, of_files
from relic_eval.errors import DataError
from relic_eval.records import Transform

WNIDS = column("imagenet.csv", "wnid")
NUMBER = {wnid: number for number, wnid in enumerate(WNIDS)}
CLASSES = tuple(f"{row['wnid']} {row['name']}" for row in table("imagenet.csv"))
SUPERCLASSES = column("imagenet.csv", "superclass")
R_WNIDS = column("imagenet_r.csv", "wnid")
OBJECTNET: Mapping[str, tuple[str, ...]] = {
    row["folder"]: tuple(row["wnids"].split()) for row in table("objectnet.csv")
}
VALID = 10_000  # rows of train that validate: ten a class, drawn with seed 0
BORDER = 1  # red pixels around each picture of ObjectNet
CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "snow",
    "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")  # published to choose settings with
SEVERITIES = (1, 2, 3, 4, 5)
LISTS = {"imagenet-1pct": "1percent.txt", "imagenet-10pct": "10percent.txt"}


def _rows(root: Path, files: list[str], y_N: np.ndarray, note: str, **more: np.ndarray) -> Rows:
    return of_files(root, files, y_N, CLASSES, note, superclasses=SUPERCLASSES, **more)


def _pictures_in(place: Path) -> list[str]:
    return sorted(f.name for f in place.iterdir() if is_picture(f))


def _by_wnid(root: Path, top: str, wnids: tuple[str, ...], note: str) -> Rows:
    """Rows of `root/top/WNID/*`; each of `wnids` must be there, and no other."""
    place = root / top if top else root
    if not place.is_dir():
        raise DataError(f"expected a folder {place}, received nothing there.")
    there = {p.name for p in place.iterdir() if p.is_dir() and not p.name.startswith(".")}
    odd = sorted(there ^ set(wnids))
    if odd:
        said = "one that is none of them" if odd[0] in there else "none"
        raise DataError(f"{place}: expected {len(wnids)} folders of wnids, received {said}: {odd[0]}.")
    files = [f"{top}/{wnid}/{name}".lstrip("/") for wnid in wnids for name in _pictures_in(place / wnid)]
    return _rows(root, files, np.array([NUMBER[f.rsplit("/", 2)[-2]] for f in files], np.int64), note)


def imagenet(place: Path, split: str) -> Rows:
    """train/WNID/*.JPEG; val/WNID/*.JPEG or all 50,000 in val/ with a ground truth beside them."""
    if split == "train":
        return _by_wnid(place, "train", WNIDS, "train")
    val = place / "val"
    if val.is_dir() and (files := _pictures_in(val)):
        return _rows(place, [f"val/{name}" for name in files], _truth(place, files), "val")
    return _by_wnid(place, "val", WNIDS, "val")


def _truth(place: Path, files: list[str]) -> np.ndarray:
    """Class numbers of validation pictures that lie in one folder, from the devkit, or from LOC_val_solution.csv."""
    solution = place / "LOC_val_solution.csv"
    devkit = place / "ILSVRC2012_devkit_t12" / "data"
    if solution.is_file():
        with open(solution, newline="") as file:
            wnid = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
    elif (devkit / "ILSVRC2012_validation_ground_truth.txt").is_file():
        wnid = _devkit_truth(devkit)
    else:
        raise DataError(
            f"expected {solution.name}, or {devkit.parent.name}/, beside pictures without class folders, received neither in {place}."
        )
    lacking = next((name for name in files if Path(name).stem not in wnid), None)
    if lacking:
        raise DataError(f"expected a class for every validation picture, received none for {lacking}.")
    return np.array([NUMBER[wnid[Path(name).stem]] for name in files], np.int64)


def _devkit_truth(devkit: Path) -> dict[str, str]:
    """The ground truth numbers classes as meta.mat does (ILSVRC2012_ID), which is not the order of wnids."""
    from scipy.io import loadmat

    if not (devkit / "meta.mat").is_file():
        raise DataError(f"expected a file {devkit / 'meta.mat'}, received nothing there.")
    synsets = np.atleast_1d(loadmat(devkit / "meta.mat", squeeze_me=True)["synsets"])
    wnid = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    lines = (devkit / "ILSVRC2012_validation_ground_truth.txt").read_text().split()
    return {f"ILSVRC2012_val_{n:08d}": wnid[int(line)] for n, line in enumerate(lines, 1)}


def listed(name: str, place: Path, split: str) -> Rows:
    """ImageNet with the training pictures of a list, file names one a line, as SimCLR's imagenet_subsets/ has them."""
    if split == "test":
        return imagenet(place, split)
    file = place / LISTS[name]
    if not file.is_file():
        raise DataError(f"expected a file {file}, received nothing there.")
    names = [Path(line).name for line in file.read_text().split()]
    odd = next((n for n in names if n.split("_")[0] not in NUMBER), None)
    if odd:
        raise DataError(f"{file}: expected names as n01440764_10026.JPEG, received {odd}.")
    files = [f"train/{n.split('_')[0]}/{n}" for n in names]
    return _rows(place, files, np.array([NUMBER[n.split("_")[0]] for n in names], np.int64), name)


def imagenet_v2(place: Path, split: str) -> Rows:
    """Folders 0 to 999, each called by the class number itself; in order of names 10 would come before 2."""
    root = next((p for p in sorted(place.glob("imagenetv2-*-format-val")) if p.is_dir()), place)
    lacking = next((n for n in range(1000) if not (root / str(n)).is_dir()), None)
    if lacking is not None:
        raise DataError(f"expected folders 0 to 999 in {root}, received no {lacking}.")
    files = [f"{n}/{name}" for n in range(1000) for name in _pictures_in(root / str(n))]
    return _rows(root, files, np.array([int(f.split("/")[0]) for f in files], np.int64), split)


def imagenet_r(place: Path, split: str) -> Rows:
    return _by_wnid(place, "", R_WNIDS, split)


def imagenet_sketch(place: Path, split: str) -> Rows:
    return _by_wnid(place, "sketch" if (place / "sketch").is_dir() else "", WNIDS, split)


def corrupted_splits(place: Path) -> tuple[str, ...]:
    """Every corruption and severity that is there, `fog-3`; the fifteen first, then the four others."""
    there = [f"{c}-{s}" for c in (*CORRUPTIONS, *EXTRA) for s in SEVERITIES if _corrupted(place, c, s)]
    if not there:
        raise DataError(f"imagenet-c: expected folders as fog/3/n01440764 in {place}, received none. {_C_WHERE}")
    return tuple(there)


def _corrupted(place: Path, corruption: str, severity: int) -> str:
    """Where the class folders of a corruption are: the tars unpack into fog/3 or weather/fog/3; empty where nowhere."""
    tops = ["", "noise/", "blur/", "weather/", "digital/", "extra/"]
    return next((t for top in tops if (place / (t := f"{top}{corruption}/{severity}")).is_dir()), "")


def imagenet_c(place: Path, split: str) -> Rows:
    """CORRUPTION/SEVERITY/WNID/*; a picture has the same id in every split."""
    corruption, _, severity = split.rpartition("-")
    top = _corrupted(place, corruption, int(severity))
    return _by_wnid(place / top, "", WNIDS, split)


def objectnet(place: Path, split: str) -> Rows:
    """images/FOLDER/*.png of the 113 folders that are ImageNet classes; the others are not read.

    Several ImageNet classes may be right for one folder: `labels_NC` says which, and the number is that of the first.
    The red border is cut off before anything else.
    """
    root = place / "images" if (place / "images").is_dir() else place / "objectnet-1.0" / "images"
    lacking = next((folder for folder in OBJECTNET if not (root / folder).is_dir()), None)
    if lacking:
        raise DataError(f"expected a folder {root / lacking}, received nothing there.")
    files = [f"{folder}/{name}" for folder in sorted(OBJECTNET) for name in _pictures_in(root / folder)]
    right = [OBJECTNET[f.split("/")[0]] for f in files]
    labels_NC = np.zeros((len(files), 1000), bool)
    for row, wnids in enumerate(right):
        labels_NC[row, [NUMBER[w] for w in wnids]] = True
    plain = _rows(root, files, np.array([NUMBER[wnids[0]] for wnids in right], np.int64), split, labels_NC=labels_NC)

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        def square(row: int) -> np.ndarray:
            picture = open_upright(Path(plain.paths[row]))
            wide, high = picture.size
            return square_of(picture.crop((BORDER, BORDER, wide - BORDER, high - BORDER)), side)

        return read_pictures(rows, side, square, lambda row: str(plain.paths[row]))

    return replace(plain, read=read)


_WHERE = (
    "Get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from image-net.org, and unpack them as train/WNID/*.JPEG and val/ "
    "(class folders, or the pictures with ILSVRC2012_devkit_t12/ or LOC_val_solution.csv beside val/)."
)
_C_WHERE = "Get its tars from zenodo.org/records/2235448, and unpack them as CORRUPTION/SEVERITY/WNID."
_EACH = "{}:FOLDER names another place."


def _tested(name: str, title: str, test: int, read: object, where: str, **more: object) -> Named:
    said = f"{where} {_EACH.format(name)}"
    options = {"splits": ("test",), **more}
    return Named(name, title, Counts(1000, test=test), read, said, trains_on="imagenet", **options)  # type: ignore[arg-type]


def _v2(variant: str, title: str) -> Named:
    return _tested(
        f"imagenetv2-{variant}",
        f"ImageNetV2, {title}",
        10_000,
        imagenet_v2,
        f"Get imagenetv2-{variant}.tar.gz from huggingface.co/datasets/vaishaal/ImageNetV2, and unpack it there.",
    )


def _part(name: str, title: str, train: int) -> Named:
    return Named(
        name,
        title,
        Counts(1000, train=train, test=50_000),
        lambda place, split: listed(name, place, split),
        f"Put {LISTS[name]} of github.com/google-research/simclr, imagenet_subsets/, into ImageNet's folder. {_WHERE}",
        below="imagenet",
    )


IMAGENET = {
    named.name: named
    for named in (
        Named(
            "imagenet",
            "ImageNet",
            Counts(1000, 1_281_167, VALID, 50_000),
            imagenet,
            f"{_WHERE} imagenet:FOLDER names another place.",
        ),
        _part("imagenet-1pct", "ImageNet, 1% of the labels", 12_811),
        _part("imagenet-10pct", "ImageNet, 10% of the labels", 128_116),
        _v2("matched-frequency", "matched frequency"),
        _v2("threshold-0.7", "threshold 0.7"),
        _v2("top-images", "top images"),
        _tested(
            "imagenet-c",
            "ImageNet-C",
            50_000,
            imagenet_c,
            _C_WHERE,
            splits=corrupted_splits,
            each={f"{c}-{s}": 50_000 for c in (*CORRUPTIONS, *EXTRA) for s in SEVERITIES},
        ),
        _tested(
            "imagenet-r",
            "ImageNet-R",
            30_000,
            imagenet_r,
            "Get imagenet-r.tar from github.com/hendrycks/imagenet-r, and put its folder imagenet-r there.",
        ),
        _tested(
            "imagenet-sketch",
            "ImageNet-Sketch",
            50_889,
            imagenet_sketch,
            "Get ImageNet-Sketch.zip from github.com/HaohanWang/ImageNet-Sketch, and put its folder sketch there.",
        ),
        _tested(
            "objectnet",
            "ObjectNet, 113 classes",
            18_574,
            objectnet,
            "Get objectnet-1.0.zip from objectnet.dev, and put its folder objectnet-1.0 there.",
        ),
    )
}
ROBUST = tuple(name for name, named in IMAGENET.items() if named.trains_on)
