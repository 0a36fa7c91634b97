"""Other people's checkpoints into a network: which of their tensors are the network's is found by what matches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from relic_eval.encoders.reading import read_tensors
from relic_eval.errors import ArgumentError, DataError
from relic_eval.progress import say

COUNTERS = "num_batches_tracked"  # of batch norm; no feature depends on it, and older files have none
WORKED_OUT = (COUNTERS, "relative_position_index", "attn_mask")  # no weights: a network works them out itself
MOCO = re.compile(r"(^|[.])(base|momentum)_encoder[.]$")  # MoCo v3's two copies
MOCO_HEADS = {
    384: 12
}  # by width, where its vits.py (github.com/facebookresearch/moco-v3) has others than timm: ViT-S, not 6
LATER = re.compile(r"(^|[._])(momentum|ema|target|student|encoder_k)([._]|$)")  # of two copies, what is not evaluated


@dataclass(frozen=True)
class Match:
    """Where a network's tensors lie in a file: `prefix` and then the network's own name, or its place in a Sequential."""

    prefix: str
    names: Mapping[str, str]  # of the network's tensors: their names in the file after the prefix
    fitting: tuple[str, ...]  # of the network's tensors: those that are there, of the same shape

    @property
    def count(self) -> int:
        """How many weights fit."""
        return sum(not name.endswith(COUNTERS) for name in self.fitting)


def load_into(network: nn.Module, file: Path, *, prefix: str = "", quiet: bool = False) -> None:
    """Read the network's weights of a file, all of them or none; what was taken, and what was left, is said.

    Of several copies (online and momentum, student and teacher) that fit equally, the one that is commonly evaluated is
    taken, unless `prefix` names another. Raises DataError where a tensor of the network is not there in its shape.
    """
    tensors = read_tensors(file)
    matches = find_matches(network, tensors)
    chosen = _chosen(file, network, tensors, matches, prefix)
    state = network.state_dict()
    lacking = [n for n in state if n not in chosen.fitting and not n.endswith(COUNTERS)]
    if lacking:
        raise DataError(_lacking(file, network, tensors, chosen, lacking))
    _refuse_more(file, network, tensors, chosen)
    state.update({name: tensors[chosen.prefix + chosen.names[name]] for name in chosen.fitting})
    network.load_state_dict(state)
    lines = [*report(file, network, tensors, chosen, matches), *_heads_of_moco(file, network, chosen)]
    if not quiet:
        for line in lines:
            say(line)


def _heads_of_moco(file: Path, network: nn.Module, chosen: Match) -> list[str]:
    """Give a timm transformer the heads that MoCo v3 trained it with: no tensor's shape tells how many they are."""
    blocks = [b.attn for b in getattr(network, "blocks", ()) if hasattr(getattr(b, "attn", None), "num_heads")]
    heads = MOCO_HEADS.get(getattr(network, "embed_dim", 0)) if MOCO.search(chosen.prefix) else None
    changed = [its for its in blocks if heads and its.num_heads != heads]
    for its in changed:
        its.head_dim = its.num_heads * its.head_dim // heads
        its.num_heads, its.scale = heads, its.head_dim**-0.5
    return [f"{file.name}: {heads} heads in each layer, as in MoCo v3's own code"] if changed else []


def find_matches(network: nn.Module, tensors: Mapping[str, Tensor]) -> list[Match]:
    """Every prefix under which tensors of the network lie, those with most of them first.

    >>> import torch
    >>> found = find_matches(nn.Linear(2, 1), {"a.weight": torch.zeros(1, 2), "a.bias": torch.zeros(1), "weight": torch.zeros(3)})
    >>> [(m.prefix, len(m.fitting)) for m in found]
    [('a.', 2)]
    """
    state = network.state_dict()
    found = []
    ends: dict[str, list[str]] = {}  # names of the file by their last part, which is that of the network's
    for full in tensors:
        ends.setdefault(full.rpartition(".")[2], []).append(full)
    for names in _spellings(network):
        fitting: dict[str, list[str]] = {}
        for name, spelt in names.items():
            for full in ends.get(spelt.rpartition(".")[2], ()):
                if (full == spelt or full.endswith(f".{spelt}")) and tensors[full].shape == state[name].shape:
                    fitting.setdefault(full.removesuffix(spelt), []).append(name)
        found += [Match(prefix, names, tuple(its)) for prefix, its in fitting.items()]
    return sorted((m for m in found if m.count), key=lambda m: -m.count)


def _spellings(network: nn.Module) -> list[dict[str, str]]:
    """The network's names, and those that they have in nn.Sequential(*network.children()), as lightly's users save it."""
    own = {name: name for name in network.state_dict()}
    places = {name: str(number) for number, (name, _) in enumerate(network.named_children())}
    numbered = {n: ".".join([places.get(n.partition(".")[0], ""), n.partition(".")[2]]) for n in own}
    return [own, numbered] if all(n.partition(".")[0] in places for n in own) else [own]


def _chosen(file: Path, network: nn.Module, tensors: Mapping[str, Tensor], matches: list[Match], prefix: str) -> Match:
    if not matches:
        theirs, ours = ", ".join([*tensors][:4]) or "no tensor", ", ".join([*network.state_dict()][:4])
        raise DataError(
            f"{file}: expected weights of {type(network).__name__} ({ours}, ...), received none of these ({theirs}, ...). "
            "Name the network of the file with network=."
        )
    if prefix:
        asked = [m for m in matches if _is_asked(m.prefix, prefix)]
        if not asked:
            known = ", ".join(_shown(m) for m in matches if m.count == matches[0].count)
            raise ArgumentError("prefix", f"one of {known}", repr(prefix))
        matches = asked
    best = [m for m in matches if m.count == matches[0].count]
    return min(best, key=lambda m: LATER.search(m.prefix) is not None)


def _is_asked(prefix: str, asked: str) -> bool:
    """Whether a prefix is the one that was typed, which may leave out the tables that the state lies in, or what follows."""
    asked = asked.strip(".")
    return f".{asked}." in f".{prefix}"


def _shown(match: Match) -> str:
    return match.prefix or "(none)"


def _lacking(file: Path, network: nn.Module, tensors: Mapping[str, Tensor], chosen: Match, lacking: list[str]) -> str:
    state, told = network.state_dict(), []
    for name in lacking[:3]:
        there = tensors.get(chosen.prefix + chosen.names[name])
        received = "nothing" if there is None else str(tuple(there.shape))
        told.append(f"{name} {tuple(state[name].shape)}, received {received}")
    fits = chosen.count
    return (
        f"{file}: expected every tensor of {type(network).__name__}, received {fits} of {fits + len(lacking)} under "
        f"'{_shown(chosen)}'; expected {'; '.join(told)}. Name the network of the file with network=, or another prefix=."
    )


def _refuse_more(file: Path, network: nn.Module, tensors: Mapping[str, Tensor], chosen: Match) -> None:
    """A DataError where the file holds more layers of a part than the network has: it is of a deeper one."""
    taken = {chosen.prefix + chosen.names[name] for name in chosen.fitting}
    parts = {chosen.names[n].partition(".")[0] for n in chosen.fitting if "." in chosen.names[n]}
    more = [
        full
        for full in tensors
        if full.startswith(chosen.prefix)
        and full not in taken
        and (rest := full.removeprefix(chosen.prefix)).partition(".")[0] in parts
        and "." in rest
        and not full.endswith(WORKED_OUT)
        and not _is_classifier(network, rest.rpartition(".")[0])
    ]
    if more:
        raise DataError(
            f"{file}: expected no more than {type(network).__name__} has, received {len(more)} further tensors of its parts, "
            f"first {more[0].removeprefix(chosen.prefix)}. It is of a larger network: name that with network=."
        )


def _is_classifier(network: nn.Module, layer: str) -> bool:
    """Whether a layer is the one whose place an identity has taken."""
    try:
        return isinstance(network.get_submodule(layer), nn.Identity)
    except AttributeError:
        return False


def report(
    file: Path, network: nn.Module, tensors: Mapping[str, Tensor], chosen: Match, matches: Iterable[Match] = ()
) -> list[str]:
    """What was taken of a file, and by group what was not: lines for people."""
    state = network.state_dict()
    taken = {chosen.prefix + chosen.names[name] for name in chosen.fitting}
    lines = [
        f"{file.name}: {chosen.count} of {chosen.count} tensors of {type(network).__name__} found under '{_shown(chosen)}'"
    ]
    others = [m.prefix for m in matches if m is not chosen and m.count == chosen.count]
    if others:
        lines.append(f"{file.name}: other copies, for prefix=: {', '.join(p or '(none)' for p in others)}")
    left = Counter(_group(full, chosen.prefix) for full in tensors if full not in taken)
    if left:
        told = ", ".join(f"{group}: {count} tensor{'s' if count > 1 else ''}" for group, count in left.items())
        lines.append(f"{file.name}: ignored {told}")
    uncounted = [n for n in state if n.endswith(COUNTERS) and n not in chosen.fitting]
    if uncounted:
        lines.append(f"{file.name}: no {COUNTERS}, which no feature depends on")
    return lines


def _group(full: str, prefix: str) -> str:
    """What a tensor that was not taken belongs to: its path, as far as where it leaves the prefix.

    >>> _group("state_dict.module.projector.0.weight", "state_dict.module.backbone.")
    'projector'
    """
    its, theirs = full.split("."), prefix.split(".")
    number = 0
    while number < min(len(its), len(theirs)) - 1 and its[number] == theirs[number]:
        number += 1
    return its[number]


def network_for(name: str) -> Any:
    """The network of a name in a `network=`, with random weights and without its classifier.

    `resnet50` is torchvision's where it has one of that name, otherwise timm's; `timm:` or `torchvision:` before it decides.

    >>> network_for("resnet18").fc
    Identity()
    """
    library, _, plain = name.rpartition(":")
    if library not in ("", "timm", "torchvision"):
        expected = "a network of torchvision or timm, as resnet50 or timm:vit_small_patch16_224"
        raise ArgumentError("network", expected, repr(name))
    if library != "timm":
        from torchvision import models

        from relic_eval.encoders.from_torchvision import bare_model

        if plain in models.list_models(module=models):
            return bare_model(plain)
        if library == "torchvision":
            raise ArgumentError("network", "a classification model of torchvision", repr(name))
    from relic_eval.encoders.networks import build_network

    return build_network(f"timm:{plain}", 3)
