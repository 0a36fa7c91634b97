"""One process works and the others wait; the lock of a killed one is let go of by the system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from relic_eval.progress import say


@contextlib.contextmanager
def alone(path: Path, waiting: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs; says `waiting` where another process holds it.

    >>> import tempfile
    >>> with alone(Path(tempfile.mkdtemp()) / "x.lock", "waiting"): print("alone")
    alone
    """
    try:
        import fcntl
    except ImportError:  # Windows: several may do the same work, and the last one's stays
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # those who wait hold the same file open, and look for the work before they do it again
        path.unlink(missing_ok=True)
        os.close(handle)
