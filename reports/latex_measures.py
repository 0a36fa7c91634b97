"""Discriminability and purity as LaTeX tables (booktabs): a part a task, a line an encoder, values with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.latex import escaped
from reports.sections.choose import in_order
from reports.style import title

Say = Callable[[float], str]
USE = "% \\usepackage{booktabs}"


def discriminability_latex(results: Iterable[Result], order: Sequence[str]) -> str:
    """Median ratio of the images and ratio over all, each with its 95% interval; empty where no encoder has them.

    >>> discriminability_latex([], [])
    ''
    """
    heads = {"distance_ratio_median": "Median of the images", "distance_ratio": "Over all"}
    note = "Mean distance to other classes / to the own class; in parentheses 95\\% intervals."
    return _table(results, order, "discriminability", heads, "{:.3f}".format, note)


def purity_latex(results: Iterable[Result], order: Sequence[str]) -> str:
    """Purity of classes and superclasses in per cent with 95% intervals, and what chance gives; empty where no encoder has them.

    >>> purity_latex([], [])
    ''
    """
    heads = {
        "purity": "Same class, \\%",
        "purity_null": "by chance",
        "superclass_purity": "Same superclass, \\%",
        "superclass_purity_null": "by chance",
    }
    note = "Share of nearest neighbours that are of the image's own class; in parentheses 95\\% intervals."
    return _table(results, order, "blocks", heads, lambda v: f"{100 * v:.1f}", note)


def _table(
    results: Iterable[Result], order: Sequence[str], protocol: str, heads: Mapping[str, str], say: Say, note: str
) -> str:
    here = [
        r for r in results if r.protocol.split("-")[0] == protocol and (protocol == "blocks" or "-" not in r.protocol)
    ]
    kinds = dict.fromkeys((r.task, r.protocol) for r in sorted(here, key=lambda r: (r.task, r.protocol)))
    there = {m.metric for r in here for m in r.cell.rows if not set(m.params) & {"class", "query"}}
    kept = {metric: head for metric, head in heads.items() if metric in there}
    if not here:
        return ""
    body = []
    for task, name in kinds:
        its = in_order([r for r in here if (r.task, r.protocol) == (task, name)], order)
        about = f"{escaped(its[0].about['title'])}, $n = {max(r.cell.rows[0].n for r in its)}$"
        more = "" if name == protocol else f" ({escaped(name)})"
        body += ["\\midrule", f"\\multicolumn{{{1 + len(kept)}}}{{l}}{{{about}{more}}} \\\\"]
        body += [" & ".join([f"\\quad {escaped(title(r.encoder))}", *_cells(r, kept, say)]) + " \\\\" for r in its]
    return "\n".join(
        [
            USE,
            f"% {note}",
            "\\begin{tabular}{l" + "r" * len(kept) + "}",
            "\\toprule",
            " & ".join(["Encoder", *kept.values()]) + " \\\\",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def _cells(result: Result, metrics: Iterable[str], say: Say) -> list[str]:
    found = {m.metric: m for m in reversed(result.cell.rows) if not set(m.params) & {"class", "query"}}
    return [_cell(found.get(metric), say) for metric in metrics]


def _cell(m: Measurement | None, say: Say) -> str:
    if m is None or m.value is None:
        return "--"
    value = say(m.value).replace("-", "$-$")
    return value if m.low is None or m.high is None else f"{value} ({say(m.low)} to {say(m.high)})"
