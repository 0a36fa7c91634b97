"""`hf:ORG/MODEL` and `hf:FOLDER`: a vision model of the transformers library, as save_pretrained leaves it."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from relic_eval.encoders.encoder import Encoder, network_encoder
from relic_eval.encoders.hub_files import hub_file, hub_folder, refs_of
from relic_eval.encoders.notes import last_found, weights_digest
from relic_eval.encoders.settings import IMAGENET, READ, SEEN, Look, Settings, plain_look, refuse_others
from relic_eval.errors import ArgumentError, DataError
from relic_eval.records import Transform

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
PICTURES = ("preprocessor_config.json", "processor_config.json")


def hf_encoder(name: str, its: Settings) -> Encoder:
    """A vision model of the hub (`ORG/MODEL`, with `@REVISION` where it is not the newest) or of a folder.

    Its features are its pooled output, or its first token where the pooler has weights of its own (those belong to a task).
    Raises DataError for files that are not to be had, or that are not all of the network.
    """
    refuse_others(f"hf:{name}", its, (*SEEN, *READ))
    try:
        version = importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError:
        hint = "Type: pip install 'relic-eval[hf]'."
        raise ArgumentError("encoder", "transformers to be installed", f"hf:{name} without it", hint) from None
    key = ["hf", name if not Path(name).expanduser().is_dir() else str(Path(name).expanduser().resolve()), version]
    about = last_found([*key, str(hub_folder())], lambda: _find(name))
    folder = Path(about["folder"])
    own = plain_look(about["look"]) if about["look"] else Look(None, *IMAGENET)
    if not about["look"] and not its.side:
        raise DataError(
            f"hf:{name}: expected {PICTURES[0]} in {folder}, received none. Put it there, or add side=224 and what else is seen."
        )
    files = [[file, weights_digest(folder / file)] for file in about["files"]]
    title = name.rstrip("/").rpartition("/")[2].partition("@")[0]
    return network_encoder(
        title, its, own, [version, files], lambda channels, seen: _make(name, folder), kind=f"hf:{name}"
    )


def _find(name: str) -> tuple[dict[str, Any], list[Path]]:
    folder = Path(name).expanduser()
    if folder.is_dir() or name.startswith((".", "/", "~")):
        folder = folder.resolve()
        if not (folder / "config.json").is_file():
            raise DataError(f"hf:{name}: expected a folder with config.json, received none. save_pretrained makes one.")
        watched = [folder]
    else:
        repo, _, revision = name.partition("@")
        config = hub_file(f"hf:{name}", repo, ["config.json"], revision or None)
        first = hub_file(f"hf:{name}", repo, WEIGHTS, revision or None)
        for part in _parts(first):
            hub_file(f"hf:{name}", repo, [part], revision or None)
        with suppress(DataError):  # said where it is needed: sides and means may be given
            hub_file(f"hf:{name}", repo, PICTURES, revision or None)
        folder, watched = config.parent, refs_of(config)
    there = [file for file in WEIGHTS if (folder / file).is_file()]
    if not there:
        raise DataError(f"hf:{name}: expected one of {', '.join(WEIGHTS)} in {folder}, received none.")
    files = ["config.json", there[0], *_parts(folder / there[0])]
    lacking = [file for file in files if not (folder / file).is_file()]
    if lacking:
        raise DataError(f"hf:{name}: expected {lacking[0]} in {folder}, received none. Fetch the whole repository.")
    seen = next((folder / file for file in PICTURES if (folder / file).is_file()), None)
    return {"folder": str(folder), "files": files, "look": None if seen is None else _look(name, folder)}, watched


def _parts(index: Path) -> list[str]:
    """The files that an index of weights in several files names."""
    if not index.name.endswith(".index.json"):
        return []
    return sorted(set(json.loads(index.read_text())["weight_map"].values()))


def _look(name: str, folder: Path) -> dict[str, Any]:
    from transformers import AutoImageProcessor

    with _quiet():
        its = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=False)
    mean, std = (list(getattr(its, n)) for n in ("image_mean", "image_std"))
    if not its.do_normalize:
        mean, std = [0.0], [1.0]
    if not its.do_rescale or abs(float(its.rescale_factor) * 255 - 1) > 1e-6:
        raise ArgumentError(f"hf:{name}", "pixels divided by 255", f"{its.rescale_factor} times them")
    return {"transform": asdict(transform_of(name, its)), "mean": mean, "std": std}


def transform_of(name: str, its: Any) -> Transform:
    """What an image processor of transformers does with a picture before it takes mean and deviation.

    >>> from types import SimpleNamespace as Processor
    >>> its = Processor(size={"shortest_edge": 256}, do_resize=True, resample=3, do_center_crop=True, crop_size={"height": 224, "width": 224})
    >>> transform_of("dinov2", its)
    Transform(side=224, resize=256, interpolation='bicubic', squash=False, offset='floor')
    """
    from PIL import Image

    size = _sides(its.size)
    way = Image.Resampling(its.resample if its.resample is not None else 2).name.lower()
    crop = _sides(its.crop_size) if getattr(its, "do_center_crop", False) else {}
    if not its.do_resize or getattr(its, "do_pad", False):
        raise ArgumentError(
            f"hf:{name}", "pictures that are resized to a square", "pictures padded or left as they are"
        )
    cut = crop.get("height") or crop.get("shortest_edge") or 0
    if cut != (crop.get("width") or cut):
        raise ArgumentError(f"hf:{name}", "a square", f"{crop}")
    edge = size.get("shortest_edge")
    if edge and getattr(its, "crop_pct", None):  # ConvNeXt's
        return (
            Transform(edge, int(edge / its.crop_pct), way, offset="floor")
            if edge < 384
            else Transform(edge, edge, way, True)
        )
    if edge and not size.get("longest_edge"):
        return Transform(cut or edge, edge, way, offset="floor")
    if size.get("height") and size.get("height") == size.get("width"):
        return Transform(cut or size["height"], size["height"], way, squash=True, offset="floor")
    raise ArgumentError(f"hf:{name}", "pictures that are resized to a square", f"size {size}")


def _sides(size: Any) -> dict[str, int]:
    known = (
        size
        if isinstance(size, Mapping)
        else {n: getattr(size, n, None) for n in ("height", "width", "shortest_edge", "longest_edge")}
    )
    return {n: int(v) for n, v in known.items() if v}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's remarks and bars: what matters of a loading is an error here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _make(name: str, folder: Path) -> Any:
    import torch
    from transformers import AutoModel

    with _quiet():
        try:
            module, loading = AutoModel.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
            )
        except (ValueError, OSError, RuntimeError) as error:
            why = " ".join(str(error).split())[:200]
            raise DataError(
                f"hf:{name}: expected a model that transformers can load, received another ({why})."
            ) from None
    module = getattr(module, "vision_model", module)
    if hasattr(getattr(module, "pooler", None), "dense"):
        module.pooler = None
    lacking = sorted(n for n in loading["missing_keys"] if not n.startswith("pooler."))
    lacking += sorted(str(n) for n in loading.get("mismatched_keys", ()))
    if lacking:
        raise DataError(
            f"hf:{name}: expected weights for all of {type(module).__name__}, received none that fit {', '.join(lacking[:3])}."
        )
    if getattr(module, "main_input_name", "pixel_values") != "pixel_values":
        raise ArgumentError(f"hf:{name}", "a model of pictures", type(module).__name__)
    return module
