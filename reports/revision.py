"""What changed between two results, as text, CSV, JSON, a part of a notebook, and a page of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup

from relic_eval.board.revised import Names, Revised, Revision, revision_table
from relic_eval.errors import ArgumentError
from relic_eval.files import write_bytes
from reports.drawings.board import change_bar
from reports.standalone import standalone
from reports.style import title
from reports.tables import aligned, to_csv
from reports.words import counted, joined, percent, signed

ENDINGS = (".csv", ".json", ".html")
LISTED = 12  # names in one line of the text


def finding(revision: Revision) -> str:
    """What changed, in a title.

    >>> finding(Revision(()))
    'No cell is in both'
    """
    cells, sure = revision.cells, revision.certain
    if not cells:
        return "No cell is in both"
    tested = sum(c.p is not None for c in cells)
    if all(c.how == "same" for c in cells):
        return f"Nothing changed: {'the one cell holds' if len(cells) == 1 else f'all {len(cells):,} cells hold'} the same numbers"
    if not sure:
        return f"No change is certain in any of {counted(tested, 'cell')}"
    # whether more is better is known of accuracies; of other measures it is not said
    better, worse, other = (
        sum(c.share and c.change > 0 for c in sure),  # type: ignore[operator]
        sum(c.share and c.change < 0 for c in sure),  # type: ignore[operator]
        sum(not c.share for c in sure),
    )
    kinds = [(better, "better"), (worse, "worse"), (other, "of measures that are no accuracy")]
    told = joined([f"{count:,} {kind}" for count, kind in kinds if count])
    return f"{len(sure):,} of {counted(len(cells), 'cell')} changed for certain: {told}"


def sentences(revision: Revision) -> list[str]:
    """What is said of it, by rules: what changed, the largest certain gain and loss, weights, and what cannot be compared.

    >>> sentences(Revision(()))
    ['No cell is in both.']
    """
    said = [f"{finding(revision)}."]
    shares = [c for c in revision.certain if c.share]
    for sign, kind in ((1, "gain"), (-1, "loss")):
        its = [c for c in shares if sign * (c.change or 0) > 0]
        if its:
            said.append(f"The largest certain {kind}: {_called(its[0])}, {points(its[0])}.")
    changed = sorted({title(c.after_encoder) for c in revision.cells if c.weights == "changed"})
    unknown = sorted({title(c.after_encoder) for c in revision.cells if c.weights == "unknown"})
    if changed:
        said.append(f"The weights of {_some(changed)} are others than before.")
    if unknown:
        said.append(f"Whether the weights of {_some(unknown)} are the same is not known.")
    apart = sum(c.how == "unpaired" for c in revision.cells)
    if apart:
        said.append(f"{counted(apart, 'cell is', 'cells are')} compared as if of other images, with wider intervals.")
    lost = len(revision.unread_before) + len(revision.unread_after)
    if lost:
        said.append(f"{counted(lost, 'cell is', 'cells are')} left out because they cannot be read.")
    return said


def points(c: Revised) -> str:
    """A change with its interval and number of images; in points where it is one of accuracies.

    >>> c = Revised("a", "a", "t", "knn", "T", "top1", 0.5, 0.4, 0.6, 0.6, 0.5, 0.7, 2000, 0.1, 0.05, 0.15)
    >>> points(c)
    '+10.0 points (95% interval +5.0 to +15.0, n = 2,000)'
    """
    ends = "" if c.low is None else f"95% interval {_change(c, c.low)} to {_change(c, c.high)}, "
    return f"{_change(c, c.change)}{' points' if c.share else ''} ({ends}n = {c.n:,})"


def revision_text(revision: Revision, names: Sequence[str]) -> str:
    """Everything for a terminal: the cells, the surest first, then what else differs.

    >>> print(revision_text(Revision(()), ("old", "new")), end="")
    Before: old. After: new.
    No cell is in both.
    """
    lines = [f"Before: {names[0]}. After: {names[1]}.", *sentences(revision)]
    if revision.cells:
        head = (
            "encoder",
            "task",
            "protocol",
            "metric",
            "before",
            "after",
            "change",
            "95% interval",
            "n",
            "certain",
            "",
        )
        lines += ["", *aligned([head, *(_line(c) for c in _sorted(revision.cells))]).splitlines()]
    if any(c.share for c in revision.cells):
        lines += [
            "",
            "Accuracies in %, their changes in points; certain: after Holm's correction for all cells here.",
        ]
    for text, its in (("only before", revision.only_before), ("only after", revision.only_after)):
        if its:
            more = f" and {len(its) - LISTED} more" if len(its) > LISTED else ""
            lines += ["", f"Cells {text}: {'; '.join(' '.join(name) for name in its[:LISTED])}{more}"]
    if revision.differs:
        lines += ["", "Other than before:"]
        lines += [f"  {d.where}, {d.name}: {d.before} -> {d.after}" for d in revision.differs]
    for text, lost in (("before", revision.unread_before), ("after", revision.unread_after)):
        lines += [f"Left out of {text}: {line}" for line in lost]
    return "\n".join(lines) + "\n"


def _line(c: Revised) -> tuple[str, ...]:
    ends = "-" if c.low is None else f"{_change(c, c.low)} to {_change(c, c.high)}"
    certain = "yes" if c.certain else "no" if c.p is not None else "-"
    notes = [*([c.why] if c.how != "paired" else []), *(["weights changed"] if c.weights == "changed" else [])]
    return (
        *(_encoder(c), c.task, c.protocol, c.metric, _value(c, c.before), _value(c, c.after)),
        *(_change(c, c.change) or "-", ends, f"{c.n:,}", certain, "; ".join(notes)),
    )


def _sorted(cells: Sequence[Revised]) -> list[Revised]:
    """Certain changes first, then by how likely they are chance; those without an interval last."""
    return sorted(cells, key=lambda c: (not c.certain, 2.0 if c.p is None else c.p, c.encoder, c.task, c.protocol))


def _encoder(c: Revised) -> str:
    return title(c.encoder) if c.encoder == c.after_encoder else f"{title(c.encoder)} -> {title(c.after_encoder)}"


def _called(c: Revised) -> str:
    return f"{title(c.after_encoder)} on {c.title} ({c.protocol})"


def _some(names: Sequence[str], most: int = 3) -> str:
    return joined(names) if len(names) <= most else f"{len(names)} encoders"


def _value(c: Revised, value: float | None) -> str:
    if value is None:
        return "-"
    return percent(value) if c.share else f"{value:.4g}".replace("-", "−")


def _change(c: Revised, value: float | None) -> str:
    if value is None:
        return ""
    if c.share:
        return signed(100 * value)
    text = f"{value:+.3g}".replace("-", "−")
    return "0" if float(value) == 0 else text


def revision_json(revision: Revision, names: Sequence[str]) -> str:
    """Everything as JSON.

    >>> json.loads(revision_json(Revision(()), ("old", "new")))["before"]
    'old'
    """
    content = {"before": names[0], "after": names[1], "finding": finding(revision), **asdict(revision)}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def revision_content(revision: Revision, names: Sequence[str]) -> dict[str, Any]:
    """What the templates of the page and of the part for notebooks show."""
    limit = max([100 * abs(c.change) for c in revision.cells if c.share and c.change] + [1.0])
    return {
        "names": names,
        "finding": finding(revision),
        "largest": _largest(revision),
        "one_pair": len({(c.encoder, c.after_encoder) for c in revision.cells}) == 1,
        "said": sentences(revision)[1:],
        "rows": [_row(c, limit) for c in _sorted(revision.cells)],
        "limit": limit,
        "only": [(text, its) for text, its in _only(revision) if its],
        "differs": revision.differs,
        "unread": [
            *(("before", line) for line in revision.unread_before),
            *(("after", line) for line in revision.unread_after),
        ],
    }


def _largest(revision: Revision) -> str:
    """A title for the table."""
    shares = [c for c in revision.certain if c.share]
    if shares:
        return f"The largest certain change: {_called(shares[0])}, {points(shares[0])}"
    return f"Values before and after of {counted(len(revision.cells), 'cell')}"


def _only(revision: Revision) -> list[tuple[str, tuple[Names, ...]]]:
    return [("before", revision.only_before), ("after", revision.only_after)]


def _row(c: Revised, limit: float) -> dict[str, Any]:
    bar = None
    if c.share and c.change is not None and c.how != "same":
        low, high = (None if end is None else 100 * end for end in (c.low, c.high))
        bar = change_bar(100 * c.change, low, high, limit)
    return {
        "cell": c,
        "encoder": _encoder(c),
        "before": _value(c, c.before),
        "after": _value(c, c.after),
        "change": _change(c, c.change),
        "ends": "" if c.low is None else f"{_change(c, c.low)} to {_change(c, c.high)}",
        "bar": bar,
        "p": "" if c.p is None else "< 0.001" if c.p < 0.001 else f"{c.p:.3f}",
        "certain": "yes" if c.certain else "no" if c.p is not None else "",
    }


def revision_page(revision: Revision, names: Sequence[str]) -> str:
    """A page that needs nothing else; a pure function: same input, same bytes."""
    content = revision_content(revision, names)
    csv = {"revision": to_csv(revision_table(revision))}
    return standalone("revision", f"{names[0]} and {names[1]}: {finding(revision)}", content, csv)


def revision_part(revision: Revision, names: Sequence[str], most: int = 40) -> str:
    """A part for a notebook: no script, no colours of its own, nothing of a name read as markup."""
    from relic_eval.markup import listed, table

    rows = _sorted(revision.cells)
    head = ("encoder", "task", "protocol", "before", "after", "change", "95% interval", "certain")
    lines = [
        (*(_encoder(c), c.title, c.protocol, _value(c, c.before), _value(c, c.after)), *_line(c)[6:8], _line(c)[9])
        for c in rows[:most]
    ]
    more = [f"{counted(len(rows) - most, 'more cell')} in .table"] if len(rows) > most else []
    said = [f"Before: {names[0]}. After: {names[1]}.", *sentences(revision), *more]
    return Markup(listed(said) + (table(head, lines) if lines else ""))


def save_revision(revision: Revision, names: Sequence[str], place: Path) -> Path:
    """The file that its ending asks for: .csv, .json or .html; ArgumentError for another."""
    made = {
        ".csv": lambda: to_csv(revision_table(revision)),
        ".json": lambda: revision_json(revision, names),
        ".html": lambda: revision_page(revision, names),
    }
    if place.suffix.lower() not in made:
        raise ArgumentError("--to", f"a file ending in {', '.join(ENDINGS)}", str(place))
    write_bytes(place, made[place.suffix.lower()]().encode())
    return place
