"""What encoders lose: when test images move, and when labels are few."""

from __future__ import annotations

from collections.abc import Sequence

from relic_eval.cells import Result
from reports.drawings.slope import Pair, slope
from reports.sections.choose import first_task, in_order, of_protocol, shifts
from reports.sections.figure import Figure
from reports.sections.why.panels import LINES, Looks, all_looks
from reports.sections.why.standing import names
from reports.style import PLAIN
from reports.tables import to_csv
from reports.words import percent, verb

LINEAR = "linear-byol"


def kept(pair: Pair) -> float:
    """The share of the accuracy that is left."""
    return (pair.after.value or 0.0) / pair.before.value if pair.before.value else 0.0


def highest(pairs: Sequence[Pair]) -> Pair:
    """Who is best afterwards: an encoder near chance may keep more, and is no better for it."""
    return max(pairs, key=lambda p: p.after.value or 0.0)


def extremes(pairs: Sequence[Pair]) -> tuple[Pair, Pair]:
    """Who is best afterwards, and whom to set against it: pixels where they are there, else who keeps least."""
    best = highest(pairs)
    pixels = [p for p in pairs if p.look.name == "pixels" and p is not best]
    return best, pixels[0] if pixels else min(pairs, key=kept)


def finding(pairs: Sequence[Pair], when: str) -> str:
    """What the best one keeps of its accuracy, and who keeps least, in a title."""
    best, last = highest(pairs), min(pairs, key=kept)
    text = f"{best.look.title} {verb(best.look.title, 'keeps', 'keep')} {100 * kept(best):.0f}% of {'their' if best.look.title == 'Pixels' else 'its'} accuracy {when}"
    return (
        text
        if best is last
        else f"{text}; {last.look.title} {verb(last.look.title, 'keeps', 'keep')} {100 * kept(last):.0f}%"
    )


def shifted_pairs(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> list[Pair]:
    """Accuracy of each encoder's linear probe on test images as they are and moved; empty where none were moved."""
    found = shifts(results, LINEAR)
    if not found:
        return []
    task = first_task([after for _, after in found], LINEAR)
    here = {after.encoder: (before, after) for before, after in found if after.task == task}
    look = all_looks([after for _, after in here.values()], look)
    return [
        Pair(look[r.encoder], here[r.encoder][0].cell.rows[0], r.cell.rows[0])
        for r in in_order([after for _, after in here.values()], order)
    ]


def shifted_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """Accuracy on test images as they are and moved."""
    pairs = shifted_pairs(results, order, look)
    if not pairs:
        return None
    before, after = shifts(results, LINEAR)[0]
    title = finding(pairs, "when test images shift")
    return Figure(
        "shifted",
        title,
        slope(pairs[:LINES], ("as they are", "shifted"), title),
        "Each line falls from the accuracy on test images as they are to that on the same images moved; a flatter line "
        "is an encoder that minds less where things stand.",
        f"{before.about['title']} against {after.about['title']}; linear probe trained on images that were not moved, "
        f"n = {after.cell.rows[0].n:,}; bars are 95% intervals.{_not_drawn(pairs)}",
        _csv(pairs, "unshifted", "shifted"),
    )


def few_labels_figure(
    results: Sequence[Result], order: Sequence[str], look: Looks | None = None, protocol: str = "fewshot-5"
) -> Figure | None:
    """Accuracy with all labels and with a few a class, on the same test images; None where curves over labels show more."""
    task = first_task(results, protocol)
    if task is None or any(r.protocol == "fewshot" for r in results):
        return None
    look = all_looks(results, look)
    full = {r.encoder: r for r in of_protocol(results, LINEAR, task)}
    few = [r for r in in_order(of_protocol(results, protocol, task), order) if r.encoder in full]
    pairs = [
        Pair(look[r.encoder], full[r.encoder].cell.rows[0], r.cell.rows[0])
        for r in few
        if r.cell.rows[0].value is not None and full[r.encoder].cell.rows[0].value is not None
    ]
    if not pairs:
        return None
    shots, draws = (few[0].about["settings"][name] for name in ("shots", "draws"))
    title = finding(pairs, f"with {shots} labelled images a class")
    return Figure(
        "few-labels",
        title,
        slope(pairs[:LINES], ("all labels", f"{shots} a class"), title),
        "Each line falls from a linear probe with all training labels to one with a few a class; a flatter line is an "
        "encoder that needs fewer labels.",
        f"{full[few[0].encoder].about['title']}; linear-byol against {protocol}, {draws} draws, "
        f"n = {few[0].cell.rows[0].n:,}; bars are 95% intervals.{_not_drawn(pairs)}",
        _csv(pairs, "all_labels", f"{shots}_a_class"),
    )


def sentence(pairs: Sequence[Pair]) -> str:
    """What shifting does to the encoder that is best afterwards and to pixels, for the summary."""
    if not pairs or all(p.look.name in PLAIN for p in pairs):
        return ""
    best, other = extremes(pairs)
    said = [
        f"{p.look.title} {verb(p.look.title, 'keeps', 'keep')} {100 * kept(p):.0f}% of accuracy "
        f"({percent(p.before.value)} to {percent(p.after.value)})"
        for p in ([best] if best is other else [best, other])
    ]
    return f"When test images shift, {' and '.join(said)}."


def _not_drawn(pairs: Sequence[Pair]) -> str:
    return f" Not drawn, in the data: {names([p.look.name for p in pairs[LINES:]])}." if len(pairs) > LINES else ""


def _csv(pairs: Sequence[Pair], before: str, after: str) -> str:
    return to_csv(
        [
            {"encoder": p.look.name, "test": name, "top1": m.value, "low": m.low, "high": m.high, "n": m.n}
            for p in pairs
            for name, m in ((before, p.before), (after, p.after))
        ]
    )
