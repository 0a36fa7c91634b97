"""What is said where weights are not here and cannot be fetched: where to get them and where to put them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from relic_eval.errors import DataError, RelicError

WAIT = 10.0  # seconds for a hub to answer


@contextmanager
def reaching(name: str, lacking: str, get: str) -> Iterator[None]:
    """Errors of a hub as one DataError: what is lacking, why, and what to do. Connections that do not answer are given up soon.

    >>> with reaching("timm:x", "its weights x.pth", "Put x.pth there."): raise OSError("no route")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: timm:x: expected its weights x.pth, received nothing there, and nothing could be fetched (OSError: no route). Put x.pth there.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(WAIT)
    try:
        yield
    except RelicError:
        raise
    except Exception as error:
        if not _of_a_hub(error):
            raise
        why = " ".join(f"{type(error).__name__}: {error}".split())[:160].rstrip(".")
        raise DataError(
            f"{name}: expected {lacking}, received nothing there, and nothing could be fetched ({why}). {get}"
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def _of_a_hub(error: BaseException) -> bool:
    """Of a connection or of a hub's client, whose errors are no OSError throughout."""
    makers = ("huggingface_hub", "httpx", "httpx2", "httpcore", "requests", "urllib3", "http")
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in makers
