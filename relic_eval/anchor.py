"""Published figures that anyone can rerun: an encoder, a data set and a protocol, ours beside theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from relic_eval.cells import cell_path, failure_path, read_cell
from relic_eval.data.sources import dataset_name, dataset_splits, refuse_inside
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import DataError, look_up
from relic_eval.files import read_record
from relic_eval.run import evaluate

IMAGENET = {"train": 1_281_167, "test": 50_000, "classes": 1000}
# In points. The figure is rounded to a tenth (0.05), and test and training pictures are the same ones, so that no sampling error is
# in the difference. What is left is the decoder (libjpeg and libjpeg-turbo differ by single grey levels), resampling between
# releases of Pillow, float16 or TF32 features there and the order of equal votes: 0.1 to 0.2 points together. A wrong
# normalisation, crop or interpolation costs more than 0.5.
TOLERANCE = 0.3


@dataclass(frozen=True)
class Anchor:
    """A figure that was published, and what makes it."""

    title: str
    encoder: str
    figure: float  # per cent
    source: str
    protocol: str = "knn-dino-20"
    k: int = 20
    data: str = "imagenet"
    images: Mapping[str, int] = field(default_factory=lambda: dict(IMAGENET))
    tolerance: float = TOLERANCE


_DINO = "facebookresearch/dino, README (column k-nn); eval_knn.py: shorter side 256 by a cubic, centre 224, k = 20, temperature 0.07"
ANCHORS = {
    name: Anchor(
        f"DINO {title}, ImageNet, 20 nearest neighbours", f"hub:facebookresearch/dino:main/{entry}", figure, _DINO
    )
    for name, title, entry, figure in (
        ("dino-r50", "ResNet-50", "dino_resnet50", 67.5),
        ("dino-vits16", "ViT-S/16", "dino_vits16", 74.5),
        ("dino-vits8", "ViT-S/8", "dino_vits8", 78.3),
        ("dino-vitb16", "ViT-B/16", "dino_vitb16", 76.1),
        ("dino-vitb8", "ViT-B/8", "dino_vitb8", 77.4),
    )
}


@dataclass(frozen=True)
class Rerun:
    """An anchor as it came out here; shares are per cent."""

    name: str
    anchor: Anchor
    encoder: str  # what was run
    data: str
    images: Mapping[str, int]  # train, test, classes: of the set that was run
    value: float
    low: float  # 95% interval (Wilson): over images that could have been tested
    high: float

    @property
    def difference(self) -> float:
        """Points that ours is above theirs."""
        return self.value - self.anchor.figure

    @property
    def of_the_same(self) -> bool:
        """Whether the set has the images that the figure is of: so many to train on, to test, and classes."""
        return dict(self.images) == dict(self.anchor.images)

    @property
    def agrees(self) -> bool | None:
        """Whether ours is theirs within the tolerance; None of other images, of which the figure says nothing."""
        return abs(self.difference) <= self.anchor.tolerance + 1e-9 if self.of_the_same else None


def rerun(
    name: str,
    out: str | Path,
    *,
    encoder: str | None = None,
    data: str | None = None,
    device: str = "auto",
    batch: int = 256,
) -> Rerun:
    """Embed and evaluate what a published figure is of, under `out`; what is there already is not made again.

    `encoder` and `data` stand in for the anchor's own, as for a clone of its repository (hub:FOLDER/ENTRY) or a folder with
    train/ and val/. Raises UnknownNameError for an anchor that is not listed, and what finding, embedding and evaluating raise.

    >>> rerun("dino-r5", "/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.UnknownNameError: anchor: expected one of dino-r50, ..., received 'dino-r5'. Did you mean 'dino-r50'?
    """
    anchor = look_up("anchor", name, ANCHORS)
    asked, where, place = encoder or anchor.encoder, data or anchor.data, Path(out)
    called = dataset_name(where)
    dataset_splits(where)  # a set that is not there is said before a network is fetched
    refuse_inside(place, where)
    found = find_encoder(asked)
    embed(found, where, place, device=device, batch=batch)
    names = (found.name, called, anchor.protocol)
    done = evaluate(place, [found.name], [called], [anchor.protocol])
    note = failure_path(place, *names)
    if done.failed or note.exists():
        why = read_record(note, {"error": str})["error"] if note.exists() else "see above"
        raise DataError(f"{name}: expected the cell of {' '.join(names)}, received none: {why}")
    result = read_cell(cell_path(place, *names))
    row = next(r for r in result.cell.rows if r.metric == "top1" and r.params.get("k") == anchor.k)
    counts = result.about["counts"]
    images = {
        "train": counts["train"] + counts["valid"],
        "test": counts["test"],
        "classes": len(result.about["classes"]),
    }
    value, low, high = (100 * float(v or 0.0) for v in (row.value, row.low, row.high))
    return Rerun(name, anchor, asked, where, images, value, low, high)


def rerun_text(run: Rerun) -> str:
    """Ours, theirs, the difference and a verdict, for a terminal."""
    anchor = run.anchor
    n = run.images
    lines = [
        anchor.title,
        f"  theirs      {anchor.figure:.1f}%  ({anchor.source})",
        f"  ours        {run.value:.2f}%  ({run.low:.2f} to {run.high:.2f}, n = {n['test']:,}; {anchor.protocol})",
        f"  difference  {run.difference:+.2f} points (tolerance {anchor.tolerance:.1f})",
    ]
    if run.encoder != anchor.encoder:
        lines.append(f"  encoder     {run.encoder} in place of {anchor.encoder}")
    if run.agrees is None:
        its, want = (f"{i['train']:,} / {i['test']:,} images of {i['classes']:,} classes" for i in (n, anchor.images))
        lines.append(f"  verdict     none: the figure is of {want}, and {run.data} has {its}")
    else:
        within = (
            "the published figure is met"
            if run.agrees
            else "the published figure is not met: more than rounding and decoding explain"
        )
        lines.append(f"  verdict     {within}")
    return "\n".join(lines)


def anchor_lines() -> list[str]:
    """The anchors there are, a line each."""
    return [f"{name:<12} {a.figure:.1f}%  {a.title}  {a.encoder}" for name, a in ANCHORS.items()]
