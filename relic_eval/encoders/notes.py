"""Notes between runs, in the user's cache folder: digests of weights, and what was found out of an encoder by loading it.

They only save work: one that is gone, damaged or cannot be written costs a second look, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from relic_eval.errors import DataError
from relic_eval.files import digest_file, digest_json, read_json, write_json


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/relic-eval`, or `~/.cache/relic-eval`.

    >>> cache_folder().name
    'relic-eval'
    """
    top = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(top).expanduser() / "relic-eval"


def weights_digest(path: Path) -> str:
    """The SHA-256 of a file; while its size and time stay, the digest that was noted stands.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "w"; _ = place.write_bytes(b"")
    >>> weights_digest(place)[:8]
    'e3b0c442'
    """
    return str(noted(["sha256", str(path.resolve())], [path], lambda: {"sha256": digest_file(path)})["sha256"])


def noted(key: list[Any], watched: Iterable[Path], find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `find` gave when it was asked for `key` before, if since then no watched file or folder's listing has changed.

    >>> import tempfile; place = Path(tempfile.mkdtemp())
    >>> noted(["an example", str(place)], [place], lambda: {"found": 1})
    {'found': 1}
    """
    note = cache_folder() / f"{digest_json(key)[:32]}.json"
    state = _state(watched)
    with contextlib.suppress(DataError, OSError):
        known = read_json(note)
        if isinstance(known, dict) and known.get("state") == state and isinstance(known.get("found"), dict):
            return known["found"]
    found = find()
    with contextlib.suppress(OSError):
        write_json(note, {"state": _state(watched), "found": found})
    return found


def last_found(key: list[Any], find: Callable[[], tuple[dict[str, Any], list[Path]]]) -> dict[str, Any]:
    """As `noted`, where only `find` knows which files it depends on: it says them beside what it found.

    >>> last_found(["another example"], lambda: ({"found": 1}, []))
    {'found': 1}
    """
    note = cache_folder() / f"{digest_json(['files', *key])[:32]}.json"
    with contextlib.suppress(DataError, OSError, TypeError):
        known = read_json(note)
        if isinstance(known, dict) and isinstance(known.get("found"), dict):
            files = [Path(place) for place in known["files"]]
            if known.get("state") == _state(files):
                return known["found"]
    found, files = find()
    with contextlib.suppress(OSError):
        write_json(note, {"state": _state(files), "files": [str(f) for f in files], "found": found})
    return found


def _state(watched: Iterable[Path]) -> str:
    """Sizes and times of files, and of all files in a folder."""
    seen: list[Any] = []
    for path in watched:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            with contextlib.suppress(OSError):
                about = file.stat()
                if not file.is_dir():
                    seen.append([str(file), about.st_size, about.st_mtime_ns])
    return digest_json(seen)
