"""Something made in a thread while something else is computed: the views of the next step while this one is learned from.

On a GPU a step of small pictures waits for what is launched on it more than for what it computes, and gradients are
launched without the interpreter. What is drawn follows from the step alone, so no number depends on when views are made.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ahead:
    """What was begun last, by name; it may never be taken.

    >>> ahead = Ahead()
    >>> ahead.begin("views of step 4", lambda: 4)
    >>> ahead.take("views of step 4", lambda: 0), ahead.take("views of step 7", lambda: 7)
    (4, 7)
    """

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="ahead"))
    coming: dict[Hashable, Future[Any]] = field(default_factory=dict)

    def begin(self, name: Hashable, make: Callable[[], Any]) -> None:
        """Begin to make it in the thread."""
        self.coming.clear()
        self.coming[name] = self.pool.submit(make)

    def end(self) -> None:
        """End the thread; what was begun and not taken is dropped."""
        self.pool.shutdown(cancel_futures=True)
        self.coming.clear()

    def take(self, name: Hashable, make: Callable[[], Any]) -> Any:
        """What was begun under that name, or made now."""
        begun = self.coming.pop(name, None)
        return make() if begun is None else begun.result()
