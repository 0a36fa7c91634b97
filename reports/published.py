"""Published numbers as text and CSV: beside ours, and by the size of the network. What is not verified says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relic_eval.board import Board, Cost
from relic_eval.published import Own, Published, larger_networks, network_of, published, published_beside
from reports.style import title
from reports.tables import heads, to_csv
from reports.words import METRICS, percent

NOTE = "(in parentheses: recalled and not read again, so not verified)\n"


def plain_pretraining() -> list[Published]:
    """ImageNet by linear probe, one number a method and network: the first verified one, else the first, of plain pretraining.

    >>> len({(p.method, p.network) for p in plain_pretraining()}) == len(plain_pretraining())
    True
    """
    found: dict[tuple[str, str], Published] = {}
    for p in published():
        plain = not any(word in p.pretraining for word in ("RandAugment", "without", "JFT"))
        if (p.task, p.protocol, p.metric) != ("imagenet", "linear-imagenet", "top1") or not plain or not p.parameters_m:
            continue
        key = (p.method, p.network)
        if key not in found or (p.verified and not found[key].verified):
            found[key] = p
    return list(found.values())


def networks_of(costs: Mapping[str, Cost]) -> set[str]:
    """The networks of these encoders that published numbers are of.

    >>> networks_of({"a": Cost(network="timm:resnet50"), "b": Cost(network="pixels")})
    {'resnet50'}
    """
    return {network_of(c.network) for c in costs.values()} - {""}


def beside_records(board: Board, networks: Sequence[str] | set[str] = ()) -> list[dict[str, object]]:
    """Ours and what others published, column by column, values in per cent; `published` says which is which.

    Columns without a published counterpart are left out, and no published number has a rank.

    >>> beside_records(Board(None, (), (), ()))
    []
    """
    found: list[dict[str, object]] = []
    for number, rows in published_beside(board, networks).items():
        column = board.columns[number]
        task = {"task": column.task, "protocol": column.protocol, "metric": column.metric}
        for row in board.rows:
            if entry := row.entries[number]:
                ours = {"value": 100 * entry.value, "low": 100 * entry.low, "high": 100 * entry.high}
                none = {"network": "", "pretraining": "", "source": "", "mark": "", "verified": None, "note": ""}
                found.append({**task, "published": False, "encoder": row.encoder, **ours, **none})
        for p in rows:
            theirs = {"value": p.value, "low": None, "high": None}
            more = {"network": p.network, "pretraining": p.pretraining, "source": p.source, "mark": p.mark}
            more |= {"verified": p.verified, "note": p.note}  # type: ignore[dict-item]
            found.append({**task, "published": True, "encoder": p.method, **theirs, **more})
    return found


def beside_csv(board: Board, networks: Sequence[str] | set[str] = ()) -> str:
    """`beside_records` as CSV."""
    return to_csv(beside_records(board, networks))


def beside_text(board: Board, networks: Sequence[str] | set[str] = ()) -> str:
    """For a terminal: under each column that has published counterparts ours, then theirs, each from the best down.

    >>> beside_text(Board(None, (), (), ()))
    'No column of this board has published numbers: they are of the same task, protocol, metric and test images.\\n'
    """
    found = published_beside(board, networks)
    if not found:
        return "No column of this board has published numbers: they are of the same task, protocol, metric and test images.\n"
    lines = ["Published numbers stand beside ours and in no rank; other pictures, code and seeds are behind them.\n"]
    for number, rows in found.items():
        column = board.columns[number]
        metric = METRICS.get(column.metric, column.metric)
        lines.append(f"\n{heads(board.columns)[number]} ({column.protocol}, {metric}, %)\n")
        ours = [(100 * e.value, r) for r in board.rows if (e := r.entries[number])]
        for _, row in sorted(ours, key=lambda pair: -pair[0]):
            e = row.entries[number]
            assert e is not None
            lines.append(f"  {percent(e.value):>6}   {title(row.encoder)} ({percent(e.low)} to {percent(e.high)})\n")
        for p in sorted(rows, key=lambda p: -p.value):
            value = f"{p.value:.1f}" if p.verified else f"({p.value:.1f})"
            note = f"; {p.note}" if p.note else ""
            lines.append(f"  {value:>6}   {p.method}, {p.network}, {p.pretraining} [{p.source}{note}]\n")
    return "".join(lines) + ("" if all(p.verified for rows in found.values() for p in rows) else f"\n{NOTE}")


def larger_text(own: Sequence[Own] = ()) -> str:
    """ImageNet top-1 of ResNets by size as text, `own` models among them.

    >>> larger_text().splitlines()[0].split()[:2]
    ['network', 'parameters,']
    """
    rows = larger_networks(own)
    names = [n for n in rows[0] if n != "yours" or own]
    lines = [["parameters, M" if n == "parameters_m" else n for n in names], *([r[n] for n in names] for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    text = "".join("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)
    return f"{text}\n{NOTE}"


def larger_csv(own: Sequence[Own] = ()) -> str:
    """ImageNet top-1 of ResNets by size as CSV."""
    return to_csv([dict(row) for row in larger_networks(own)])
