"""`python:package.module:name`, and encoders of a module or function that somebody hands over."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from relic_eval.encoders.encoder import Encoder, network_encoder, renamed
from relic_eval.encoders.identity import identity
from relic_eval.encoders.settings import READ, SEEN, Look, Settings, board_name, described, look, refuse_others
from relic_eval.errors import ArgumentError, RelicError
from relic_eval.files import digest_json
from relic_eval.records import Transform


def from_callable(
    name: str, function: Callable[[Any], Any], *, digest: str, side: int | None = None, channels: int | None = None
) -> Encoder:
    """Any function from pictures (N, C, H, W) in [0, 1] to features (N, D); `digest` names its weights and version.

    >>> from_callable("mean", lambda x: x.mean((2, 3)), digest="v1").name
    'mean'
    """
    known = digest_json(["callable", digest, channels])
    transform = None if side is None else Transform(side)
    return Encoder(name, known, lambda channels, device: function, transform=transform, channels=channels)


def from_module(
    name: str, module: Any, *, digest: str, side: int | None = None, channels: int | None = None
) -> tuple[Encoder, str]:
    """A torch module, known by its weights as well, and the device that it is on.

    >>> import torch
    >>> from_module("flat", torch.nn.Flatten(), digest="1")[1]
    'cpu'
    """
    tensors = [*module.parameters(), *module.buffers()]
    known = digest_json([digest, identity(module)])
    found = from_callable(name, module, digest=known, side=side, channels=channels)
    counted = replace(found, kind="module", parameters=sum(p.numel() for p in module.parameters()))
    return counted, str(tensors[0].device if tensors else "cpu")


def python_encoder(name: str, its: Settings) -> Encoder:
    """The object of that name: a torch module, an Encoder or a function from pictures to features.

    A function without required parameters is called to make it. Modules of the current folder are found, as with `python -m`.
    A module is known by its layers and weights, for which it is made; an Encoder says its own digest, so that nothing need be.
    Raises ArgumentError for a name that is not there, or of something else.
    """
    place, _, attribute = name.partition(":")
    if not place or not attribute:
        raise ArgumentError("encoder", "python:package.module:name", f"python:{name}")
    source = f"python:{name}"
    found = _made(source, _imported(source, place, attribute))
    title = attribute.rpartition(".")[2]
    if isinstance(found, Encoder):
        refuse_others(source, its, ())
        return renamed(replace(found, kind=source), its.name or None)
    if hasattr(found, "state_dict"):
        refuse_others(source, its, (*SEEN, *READ))

        def make(channels: int, seen: Look) -> Any:
            import copy

            return copy.deepcopy(found)

        made = network_encoder(title, its, Look(), [identity(found)], make, kind=source, channels=None)
        return replace(made, parameters=sum(p.numel() for p in found.parameters()))
    if not callable(found):
        raise ArgumentError("encoder", f"a module, a function or an Encoder under {source}", type(found).__name__)
    refuse_others(source, its, ("side", "resize", "interpolation", "squash"))
    seen = look(its, Look())
    known = digest_json(["python", identity(found), described(its, seen)])
    return replace(
        from_callable(board_name(title, its), found, digest=known),
        transform=seen.transform,
        kind=source,
        settings=described(its, seen),
    )


def _imported(source: str, place: str, attribute: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            error.add_note(f"{place} was imported for {source}.")
            raise
        hint = f"It is looked for in {os.getcwd()} and where packages are installed."
        raise ArgumentError("encoder", f"a module {place} that can be imported", f"none for {source}", hint) from None
    except RelicError:
        raise
    except Exception as error:  # anything that their code raises
        error.add_note(f"{place} was imported for {source}.")
        raise
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = (
                ", ".join([n for n in vars(found) if not n.startswith("_")][-6:]) if hasattr(found, "__dict__") else ""
            )
            raise ArgumentError("encoder", f"a name in {place}, as {public}", f"{source}, which is none")
        found = getattr(found, part)
    return found


def _made(source: str, found: Any) -> Any:
    """What a function or class without required parameters makes; everything else as it is."""
    if (
        isinstance(found, Encoder)
        or (hasattr(found, "state_dict") and not isinstance(found, type))
        or not callable(found)
    ):
        return found
    try:
        needed = [
            p
            for p in inspect.signature(found).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
    except (TypeError, ValueError):  # of a builtin
        return found
    if needed:
        if isinstance(found, type):
            raise ArgumentError(
                "encoder", "a module, a function or an Encoder", f"the class {source}", "Make one of it."
            )
        return found
    try:
        return found()
    except RelicError:
        raise
    except Exception as error:
        error.add_note(f"{source} was called without arguments to make the encoder.")
        raise
