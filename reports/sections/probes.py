"""How the probes came to their numbers: accuracy over the penalty, and over the number of neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.frame import Frame, decades, limits
from reports.drawings.lines import Series, lines
from reports.sections.choose import shown
from reports.sections.figure import Figure
from reports.style import looks, short, title
from reports.tables import to_csv
from reports.words import percent, several

LINEAR = "linear-byol"


def penalty_figure(results: Sequence[Result], order: Sequence[str]) -> Figure | None:
    """Validation accuracy along the path of penalties, the chosen one marked."""
    here = [r for r in shown(results, LINEAR, order) if r.cell.curves is not None]
    look, series = looks(r.encoder for r in here), []
    for r in here:
        curves = r.cell.curves or {}
        rows = np.char.startswith(curves["name"].astype(str), "validation ")  # by the metric of the task
        x, y = curves["x"][rows], 100 * curves["y"][rows]
        if len(x):
            chosen = int(np.abs(np.log(x / r.cell.rows[0].params["penalty"])).argmin())
            series.append(Series(look[r.encoder], short(r.encoder, 14), x.tolist(), y.tolist(), (chosen,)))
    if not series:
        return None
    x_all, y_all = [v for s in series for v in s.x], [v for s in series for v in s.y]
    frame = Frame((min(x_all), max(x_all)), limits(y_all), log_x=True)
    said = _edges(results) or _inside(series)
    ends = [f"{title(r.encoder)} on {r.about['title']}" for r in _at_an_end(results)]
    rows_csv = [
        {"encoder": s.look.name, "penalty": x, "validation_top1": y / 100, "chosen": int(i in s.marked)}
        for s in series
        for i, (x, y) in enumerate(zip(s.x, s.y, strict=True))
    ]
    return Figure(
        "penalty",
        said,
        lines(series, frame, ("penalty", "validation top-1, %"), said, decades(*frame.x)),
        "The mark is the penalty that was chosen, on validation images only; a flat top means that the choice hardly matters.",
        f"{here[0].about['title']}; protocol {LINEAR}, {here[0].about['counts']['valid']:,} validation images; no intervals."
        + (f" At an end: {'; '.join(ends[:6])}{' and others' if len(ends) > 6 else ''}." if ends else ""),
        to_csv(rows_csv),
    )


def _at_an_end(results: Sequence[Result]) -> list[Result]:
    """Cells of any task whose best penalty lies at an end of the path."""
    return [r for r in results if r.protocol == LINEAR and r.cell.rows[0].params.get("edge")]


def _edges(results: Sequence[Result]) -> str:
    names = list(dict.fromkeys(title(r.encoder) for r in _at_an_end(results)))
    return (
        f"The best penalty lies at an end of the path for {several(names)}: a better one may lie beyond"
        if names
        else ""
    )


def _inside(series: Sequence[Series]) -> str:
    chosen = {s.look.title: s.x[s.marked[0]] for s in series}
    low, high = min(chosen, key=lambda n: chosen[n]), max(chosen, key=lambda n: chosen[n])
    if low == high:
        return f"The chosen penalty, {chosen[low]:.2g}, lies inside the path"
    return f"All chosen penalties lie inside the path, from {chosen[low]:.2g} ({low}) to {chosen[high]:.2g} ({high})"


def votes_figure(results: Sequence[Result], order: Sequence[str]) -> Figure | None:
    """Test accuracy of a vote over the number of neighbours, the chosen number marked."""
    here = [r for r in shown(results, "knn", order) if r.cell.rows[0].value is not None]
    if not here:
        return None
    look, series = looks(r.encoder for r in here), []
    by_k = {r.encoder: sorted(r.cell.rows, key=lambda m: m.params["k"]) for r in here}
    for r in here:
        rows = by_k[r.encoder]
        chosen = tuple(i for i, m in enumerate(rows) if m.params.get("chosen"))
        x, y = [float(m.params["k"]) for m in rows], [100 * (m.value or 0) for m in rows]
        series.append(Series(look[r.encoder], short(r.encoder, 14), x, y, chosen))
    ks = sorted({x for s in series for x in s.x})
    frame = Frame((ks[0], max(ks[-1], ks[0] + 1)), limits([v for s in series for v in s.y]), log_x=True)
    said = _best_votes(here)
    return Figure(
        "votes",
        said,
        lines(series, frame, ("neighbours that vote (k)", "top-1, %"), said, [k for k in ks if k not in (5, 50)]),
        "The mark is the k chosen on validation images; a line that falls to the right has few near images of its class.",
        f"{here[0].about['title']}; protocol knn, n = {here[0].cell.rows[0].n:,}. " + _intervals(here),
        to_csv([_vote(r.encoder, m) for r in here for m in by_k[r.encoder]]),
    )


def _intervals(here: Sequence[Result]) -> str:
    if len(here) > 6:
        return "95% intervals stand in the data."
    each = [f"{title(r.encoder)} {percent(m.low)} to {percent(m.high)}" for r in here if (m := r.cell.rows[0])]
    return f"95% intervals at the chosen k: {'; '.join(each)}."


def _vote(encoder: str, m: Measurement) -> dict[str, object]:
    chosen = int(m.params.get("chosen", 0))
    return {
        "encoder": encoder,
        "k": m.params["k"],
        "chosen": chosen,
        "top1": m.value,
        "low": m.low,
        "high": m.high,
        "n": m.n,
    }


def _best_votes(here: Sequence[Result]) -> str:
    ranked = sorted(here, key=lambda r: -(r.cell.rows[0].value or 0))[:2]
    said = [f"{title(r.encoder)} ({percent(m.value)}% at k = {m.params['k']})" for r in ranked if (m := r.cell.rows[0])]
    return f"Votes of nearest neighbours are right most often under {', then '.join(said)}"
