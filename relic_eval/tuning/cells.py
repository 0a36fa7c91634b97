"""From a protocol's name, an encoder and the rows of a task to the cell, and to the key that says whether it is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relic_eval.errors import look_up
from relic_eval.files import digest_json
from relic_eval.records import Cell
from relic_eval.tuning.table import PROTOCOLS

if TYPE_CHECKING:
    from relic_eval.encoders.load import Encoder


def cell_key(
    protocol: str, encoder: Encoder, digests: Sequence[str], division: Any = None, listed: Sequence[str] = ()
) -> str:
    """Digest of all that decides a cell, opening no picture: settings, weights, contents of the splits, how rows are divided.

    `digests` are those of the train, the test and, where there is one, the valid split; `division` is what the task says of
    its rows (level, share, seed, rows kept for validation, rows left out), as JSON; `listed` as in Semi.
    """
    its = look_up("protocol", protocol, PROTOCOLS)
    seen = None if encoder.transform is None else dataclasses.asdict(encoder.transform)
    about = [encoder.digest, seen, encoder.channels, list(digests), division, list(listed)]
    return digest_json([*about, protocol, its.version, dataclasses.asdict(its)])


def tune(
    protocol: str,
    encoder: Encoder,
    parts: Sequence[Any],
    *,
    listed: Sequence[str] = (),
    device: str = "cpu",
    keep: Path | None = None,
) -> Cell:
    """The cell of a protocol: `parts` are train, valid and test, of `divide` or `divide_scenes` as its `data` says.

    Points of a grid are noted in the folder `keep`, which may be removed when the cell is written.
    """
    its = look_up("protocol", protocol, PROTOCOLS)
    more = {"listed": listed} if protocol.startswith("semi-") else {}
    return its(encoder, *parts, device=device, keep=keep, **more)
