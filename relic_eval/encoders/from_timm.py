"""`timm:MODEL` and `timm:FOLDER`: a model of timm with its published weights, or one that timm saved."""

from __future__ import annotations

import importlib.metadata
import math
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from relic_eval.encoders.encoder import Encoder, network_encoder
from relic_eval.encoders.hub_files import hub_file, hub_folder, refs_of, torch_file, torch_folder
from relic_eval.encoders.notes import last_found, weights_digest
from relic_eval.encoders.settings import READ, SEEN, Look, Settings, plain_look, refuse_others
from relic_eval.errors import ArgumentError, DataError, UnknownNameError

ENDINGS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
OPEN_CLIP = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def timm_encoder(name: str, its: Settings) -> Encoder:
    """A model of timm, its weights in timm's own way, seen as its configuration says.

    Raises ArgumentError for a model that timm does not have or without weights, DataError for weights that are not to be had.
    """
    refuse_others(f"timm:{name}", its, (*SEEN, *READ, "weights"))
    version = timm_version(f"timm:{name}")
    folder = Path(name).expanduser()
    local = "/" in name
    if local and not (folder / "config.json").is_file():
        raise DataError(
            f"timm:{name}: expected a folder with config.json, received none. timm's save_for_hf makes one."
        )
    key = [
        "timm",
        str(folder.absolute()) if local else name,
        its.weights,
        version,
        str(hub_folder()),
        str(torch_folder()),
    ]
    about = last_found(key, lambda: _find_local(folder, its) if local else _find(name, its))
    file, size = Path(about["file"]), about["size"]
    title = folder.resolve().name if local else name

    def make(channels: int, seen: Look) -> Any:
        side = seen.transform.side if seen.transform else size
        return _make(f"local-dir:{folder}" if local else name, file, side if about["fixed"] and side != size else None)

    return network_encoder(
        title,
        its,
        plain_look(about["look"]),
        [version, about["architecture"], weights_digest(file)],
        make,
        kind=f"timm:{name}",
    )


def timm_version(name: str) -> str:
    """The version of timm that is installed, importing nothing; an ArgumentError where there is none.

    >>> timm_version("timm:resnet18").count(".")
    2
    """
    try:
        return importlib.metadata.version("timm")
    except importlib.metadata.PackageNotFoundError:
        hint = "Type: pip install 'relic-eval[timm]'."
        raise ArgumentError("encoder", "timm to be installed", f"{name} without it", hint) from None


def _find(name: str, its: Settings) -> tuple[dict[str, Any], list[Path]]:
    import timm

    if not timm.is_model(name):
        raise UnknownNameError("model of timm", name.split(".")[0], timm.list_models())
    try:
        found = timm.get_pretrained_cfg(name)
    except RuntimeError:
        tags = timm.list_pretrained(f"{name.split('.')[0]}*")[:5]
        raise ArgumentError(
            "encoder", "weights that timm lists", f"timm:{name}", f"There are {', '.join(tags)}."
        ) from None
    config = {} if found is None else found.to_dict()
    if its.weights:
        file = _given(its.weights)
    else:
        repo, url = config.get("hf_hub_id"), config.get("url")
        if not repo and not url:
            raise ArgumentError(
                "encoder",
                "a model of timm with published weights",
                f"timm:{name}",
                f"Name a file, or random:timm:{name}.",
            )
        cached = None if not url else torch_folder() / "checkpoints" / Path(urlparse(url).path).name
        if (cached is not None and cached.exists()) or not repo:
            file = torch_file(f"timm:{name}", str(url))
        else:
            given = config.get("hf_hub_filename")
            file = hub_file(f"timm:{name}", str(repo), [given] if given else ENDINGS)
    return _about(name.split(".")[0], config, file), [file, *refs_of(file)]


def _find_local(folder: Path, its: Settings) -> tuple[dict[str, Any], list[Path]]:
    from timm.models._hub import load_model_config_from_path

    config, architecture, _ = load_model_config_from_path(folder)
    files = (
        [_given(its.weights)] if its.weights else [folder / n for n in (*ENDINGS, *OPEN_CLIP) if (folder / n).is_file()]
    )
    if not files:
        raise DataError(f"timm:{folder}: expected one of {', '.join(ENDINGS)} in it, received none.")
    return _about(architecture, config, files[0]), [folder, files[0]]


def _given(place: str) -> Path:
    file = Path(place).expanduser().absolute()
    if not file.is_file():
        raise DataError(
            f"weights: expected a file {file}, received {'a folder' if file.is_dir() else 'nothing there'}."
        )
    return file


def _about(architecture: str, config: dict[str, Any], file: Path) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "file": str(file),
        "size": (config.get("input_size") or (3, 224, 224))[-1],
        "fixed": bool(config.get("fixed_input_size")),
        "look": look_of(config),
    }


def look_of(config: dict[str, Any]) -> dict[str, Any]:
    """How timm shows pictures to a model when it is evaluated, of the model's configuration.

    >>> look_of({"input_size": (3, 224, 224), "crop_pct": 0.9, "interpolation": "bicubic"})["transform"]["resize"]
    248
    """
    from timm.data import resolve_data_config

    data = resolve_data_config({}, pretrained_cfg=config)
    channels, high, wide = data["input_size"]
    if high != wide or channels != 3 or data["crop_mode"] not in ("center", "squash"):
        received = f"{data['crop_mode']} of {channels} x {high} x {wide}"
        raise ArgumentError("encoder", "a model of timm that sees the centre of a square of three colours", received)
    transform = {
        "side": high,
        "resize": math.floor(high / data["crop_pct"]),
        "interpolation": data["interpolation"],
        "squash": data["crop_mode"] == "squash",
    }
    return {"transform": transform, "mean": list(data["mean"]), "std": list(data["std"])}


def _make(name: str, file: Path, side: int | None) -> Any:
    import timm

    from relic_eval.encoders.families import without_classifier

    more: dict[str, Any] = {} if side is None else {"img_size": side}
    # "timm" as the source: a folder's weights, too, are read of the file whose digest is known
    overlay = {"file": str(file), "source": "timm"}
    try:
        # with as many classes as the weights have: for another number timm reads what fits, and passes over the rest
        return without_classifier(timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **more))
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(
            f"{file}: expected weights of {name} as timm has them, received others ({why}). "
            f"For a checkpoint of pretraining use file:{file},network=timm:{name}."
        ) from None
