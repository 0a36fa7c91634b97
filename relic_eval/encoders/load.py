"""Encoders by name, each source of them in a file of its own.

Naming one imports no torch where its digest can be had without: a name is turned into a digest first, and into a network
only when pictures must be encoded. What was found out by loading is noted between runs (notes.py).
"""

from __future__ import annotations

from pathlib import Path

from relic_eval.encoders.encoder import Encoder, renamed
from relic_eval.encoders.from_file import file_encoder
from relic_eval.encoders.from_hf import hf_encoder
from relic_eval.encoders.from_hub import hub_encoder
from relic_eval.encoders.from_python import from_callable, from_module, python_encoder
from relic_eval.encoders.from_seed import pixel_encoder, random_encoder
from relic_eval.encoders.from_timm import timm_encoder
from relic_eval.encoders.from_torchvision import torchvision_encoder
from relic_eval.encoders.runs import check_weights, read_checkpoint
from relic_eval.encoders.settings import split_name
from relic_eval.errors import UnknownNameError

__all__ = ["Encoder", "check_weights", "find_encoder", "from_callable", "from_module", "read_checkpoint", "renamed"]

KNOWN = (
    "pixels",
    "random:NETWORK",
    "timm:MODEL",
    "torchvision:MODEL/WEIGHTS",
    "hub:OWNER/REPO:REF/ENTRY",
    "hf:ORG/MODEL",
    "file:PATH",
    "python:package.module:name",
)
SOURCES = {
    "timm": timm_encoder,
    "torchvision": torchvision_encoder,
    "hub": hub_encoder,
    "hf": hf_encoder,
    "python": python_encoder,
}


def find_encoder(text: str) -> Encoder:
    """The encoder of that name, with settings after a comma (docs/encoders.md); `file:` may be left out before a path.

    Raises UnknownNameError for a name of no known source, ArgumentError for a setting that it has not, DataError for weights
    that are not there.

    >>> find_encoder("pixels").kind, find_encoder("pixels,side=8").transform.side
    ('pixels', 8)
    """
    name, its = split_name(text)
    source, _, rest = name.partition(":")
    if name == "pixels":
        return pixel_encoder(its)
    if source == "random":
        return random_encoder(name, its)
    if source in SOURCES and rest:
        return SOURCES[source](rest, its)
    path = Path(name.removeprefix("file:")).expanduser()
    if source == "file" or "/" in name or path.exists():
        return file_encoder(path, its)
    raise UnknownNameError("encoder", name, KNOWN)
