"""Which cells a figure shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from relic_eval import pairing
from relic_eval.cells import Result

SHIFTED = "-shifted"  # how the split of test images ends that were moved


def of_protocol(results: Iterable[Result], protocol: str, task: str | None) -> list[Result]:
    """The cells of one protocol, and of one task where it is named."""
    return [r for r in results if r.protocol == protocol and (task is None or r.task == task)]


def first_task(results: Iterable[Result], protocol: str) -> str | None:
    """The task shown first: that of most encoders, then of most test images, then by name."""
    return pairing.first_task([(r.task, r.about["counts"]["test"]) for r in results if r.protocol == protocol])


def in_order(results: Iterable[Result], order: Sequence[str]) -> list[Result]:
    """Sorted as the encoders are; those that are not among them come last."""
    return sorted(results, key=lambda r: order.index(r.encoder) if r.encoder in order else len(order))


def shown(results: Iterable[Result], protocol: str, order: Sequence[str]) -> list[Result]:
    """The cells of a protocol on its first task, in order."""
    found = list(results)
    return in_order(of_protocol(found, protocol, first_task(found, protocol)), order)


def shown_blocks(results: Iterable[Result], order: Sequence[str]) -> list[Result]:
    """The neighbour blocks to draw: those of a preset where one was asked for, else those of the task."""
    found = [r for r in results if r.protocol.split("-")[0] == "blocks"]
    presets = [r for r in found if r.protocol != "blocks"]
    names = [r.protocol for r in presets]
    most = min(set(names), key=lambda n: (-names.count(n), n)) if names else "blocks"
    return shown(found, most, order)


def with_ratio(results: Iterable[Result], order: Sequence[str]) -> list[Result]:
    """The discriminability cells to draw: a missing ratio stands in no figure."""
    return [r for r in shown(results, "discriminability", order) if r.cell.rows[0].value is not None]


def shifts(results: Sequence[Result], protocol: str) -> list[tuple[Result, Result]]:
    """Cells that differ only in that the test images were moved: (as they are, moved)."""
    here = [r for r in results if r.protocol == protocol and r.cell.rows[0].value is not None]
    plain = {(r.encoder, *_question(r)): r for r in here if not _test(r).endswith(SHIFTED)}
    return [
        (plain[key], r) for r in here if _test(r).endswith(SHIFTED) and (key := (r.encoder, *_question(r))) in plain
    ]


def _test(result: Result) -> str:
    return str(result.about["task_settings"]["test"])


def _question(result: Result) -> tuple[str, ...]:
    settings = result.about["task_settings"]
    named = (str(settings[name]) for name in ("dataset", "train", "level"))
    return (*named, result.about["data"]["train"], _test(result).removesuffix(SHIFTED))
