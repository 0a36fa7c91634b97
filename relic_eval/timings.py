"""Durations in timings.jsonl, which no result depends on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


def note_time(out: Path, what: str, seconds: float, **about: str | int) -> None:
    """Add a line to `out`/timings.jsonl, with what `about` says beside it.

    >>> import tempfile; place = Path(tempfile.mkdtemp())
    >>> note_time(place, "embed a", 2.0, encoder="a", pictures=100); read_times(place)[0]["pictures"]
    100
    """
    out.mkdir(parents=True, exist_ok=True)
    line = {"what": what, "seconds": round(seconds, 3), "at": round(time.time()), **about}
    with open(out / "timings.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_times(out: Path) -> list[dict[str, Any]]:
    """The lines of timings.jsonl; one that a killed run left half written is passed over.

    >>> read_times(Path("/nowhere"))
    []
    """
    file, found = out / "timings.jsonl", []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        try:
            note = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(note, dict) and isinstance(note.get("seconds"), int | float):
            found.append(note)
    return found
