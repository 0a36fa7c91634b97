"""`torchvision:resnet50/IMAGENET1K_V1`: a classification model of torchvision with one of its weights."""

from __future__ import annotations

import importlib.metadata
from dataclasses import asdict
from pathlib import Path
from typing import Any

from relic_eval.encoders.encoder import Encoder, network_encoder
from relic_eval.encoders.hub_files import torch_file, torch_folder
from relic_eval.encoders.notes import last_found, weights_digest
from relic_eval.encoders.settings import READ, SEEN, Look, Settings, plain_look, refuse_others
from relic_eval.errors import DataError, UnknownNameError, look_up
from relic_eval.records import Transform


def torchvision_encoder(name: str, its: Settings) -> Encoder:
    """A model of torchvision and, after a slash, its weights (by default torchvision's own default), seen as these want it.

    Raises UnknownNameError for a model or weights that torchvision does not list, DataError for a file that is not to be had.
    """
    refuse_others(f"torchvision:{name}", its, (*SEEN, *READ, "weights"))
    version = importlib.metadata.version("torchvision")
    key = ["torchvision", name, its.weights, version, str(torch_folder())]
    about = last_found(key, lambda: _find(name, its))
    file, model = Path(about["file"]), name.split("/")[0]

    def make(channels: int, seen: Look) -> Any:
        from relic_eval.encoders.checkpoints import load_into

        module = bare_model(model, **about["more"])
        load_into(module, file, quiet=not its.weights)
        return module

    identity = [version, model, weights_digest(file), about["more"]]
    return network_encoder(model, its, plain_look(about["look"]), identity, make, kind=f"torchvision:{name}")


def bare_model(model: str, **more: Any) -> Any:
    """A model of torchvision with random weights and without its classifier.

    >>> bare_model("resnet18").fc
    Identity()
    """
    from torchvision.models import get_model

    from relic_eval.encoders.families import without_classifier

    if model in ("googlenet", "inception_v3"):
        more["init_weights"] = False  # which would take a minute, for weights that are read
    return without_classifier(get_model(model, weights=None, **more))


def _find(name: str, its: Settings) -> tuple[dict[str, Any], list[Path]]:
    from torchvision import models

    model, _, wanted = name.partition("/")
    known = models.list_models(module=models)
    if model not in known:
        raise UnknownNameError("model of torchvision", model, known)
    table = {w.name: w for w in models.get_model_weights(model)}
    if wanted and wanted != "DEFAULT":
        weights = look_up(f"weights of torchvision's {model}", wanted, table)
    else:
        weights = models.get_model_weights(model).DEFAULT
    if its.weights:
        file = Path(its.weights).expanduser().absolute()
        if not file.is_file():
            raise DataError(f"weights: expected a file {file}, received nothing there.")
    else:
        file = torch_file(f"torchvision:{name}", weights.url)
    shown = weights.transforms()
    seen = Transform(shown.crop_size[0], shown.resize_size[0], shown.interpolation.value)
    look = {"transform": asdict(seen), "mean": list(shown.mean), "std": list(shown.std)}
    more = {"transform_input": True} if model in ("googlenet", "inception_v3") and not its.weights else {}
    return {"file": str(file), "look": look, "more": more}, [file]
