"""Points of a grid, each noted when it is done, so that a killed run goes on with the next one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from relic_eval.errors import ArgumentError, DataError, NewerError
from relic_eval.files import digest_json, write_json
from relic_eval.progress import warn
from relic_eval.records import FORMAT, read_versioned

Found = dict[str, Any]


def noted(keep: Path | None, about: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]) -> Found:
    """`make()`, or what it gave when all in `about` was the same and `keep` was the same folder; JSON both.

    A note is a file, whole or absent, named by the digest of `about`: one of other settings is never met. A damaged one is
    warned of and made again.

    >>> import tempfile; place = Path(tempfile.mkdtemp())
    >>> noted(place, {"lr": 0.1}, lambda: {"valid": 0.5}), noted(place, {"lr": 0.1}, lambda: {"valid": 0.9})
    ({'valid': 0.5}, {'valid': 0.5})
    """
    if keep is None:
        return _plain(make())
    file, about = keep / f"{digest_json(about)}.json", _plain(about)
    if file.exists():
        try:
            record = read_versioned(file, {"about": dict, "found": dict})
            if record["about"] != about:
                raise DataError(f"{file}: expected a note of what its name says, received another.")
            return dict(record["found"])
        except NewerError:
            raise
        except DataError as error:
            warn(f"{error} It is made again.")
    found = _plain(make())
    write_json(file, {"format": FORMAT, "about": about, "found": found})
    return found


def best(points: Sequence[Mapping[str, float]], values: Sequence[float | None], order: Sequence[str]) -> int:
    """Place of the point of the highest value; of ties the smallest by these settings, `-name` for the largest.

    Raises ArgumentError where no point stayed finite (their value is None).

    >>> best([{"lr": 0.1}, {"lr": 0.01}, {"lr": 1.0}], [0.5, 0.5, None], ["lr"])
    1
    """
    sound = [place for place, value in enumerate(values) if value is not None]
    if not sound:
        raise ArgumentError(
            "learning_rates",
            "one at which the loss stays finite",
            "none",
            "Are the encoder's weights and inputs finite?",
        )

    def rank(place: int) -> tuple[float, ...]:
        tie = [-points[place][n[1:]] if n.startswith("-") else points[place][n] for n in order]
        return (-float(values[place] or 0.0), *tie)

    return min(sound, key=rank)


def shown(point: Mapping[str, float]) -> str:
    """A point in words.

    >>> shown({"learning_rate": 0.1, "decay": 0.0})
    'learning rate 0.1, decay 0'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in point.items())


def _plain(content: Any) -> Any:
    return json.loads(json.dumps(content))
