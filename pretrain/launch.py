"""Several ranks from one command: torchrun's agent inside this process, and a new start where a rank was killed."""

from __future__ import annotations

import logging
import os
import signal
import sys

from relic_eval.progress import say

STARTS = 4  # the first and three more


def launch(words: list[str], ranks: int) -> int:
    """Run `relic-eval WORDS` in as many ranks; returns the exit code. A killed rank is no failure: all begin again, from the
    last checkpoint, up to three times."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # torch shares the store of the meeting point with the ranks: with it, a second start would wait for the first one's keys
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))
    log = logging.getLogger("torch.distributed.elastic")  # it reports, at length, what is reported here
    log.addHandler(logging.NullHandler())
    log.propagate = False
    for start in range(STARTS):
        config = LaunchConfig(
            1, 1, ranks, rdzv_backend="c10d", rdzv_endpoint="localhost:0", max_restarts=0, run_id=f"{start}"
        )
        try:
            elastic_launch(config, sys.executable)("-m", "relic_eval.cli", *words)
            return 0
        except SignalException as stopped:
            return 130 if stopped.sigval == signal.SIGINT else 128 + stopped.sigval
        except ChildFailedError as error:
            # what a killed rank does to the others may be noticed in the same second: the kill comes first
            first = min(error.failures.values(), key=lambda f: (f.timestamp, f.exitcode != -signal.SIGKILL))
        if first.exitcode != -signal.SIGKILL or start + 1 == STARTS:
            break
        say(f"rank {first.local_rank} was killed (signal {-first.exitcode}); all begin again from the last checkpoint")
    return first.exitcode if first.exitcode > 0 else 128 - first.exitcode
