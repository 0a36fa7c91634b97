"""What the page rests on: digests, seeds, encoders, protocols, versions, failures, and the commands that make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.cells import Result
from relic_eval.commands import Command
from relic_eval.data.registry import is_known
from reports.sections.origin.data import tasks
from reports.sections.section import Material, Section
from reports.style import title
from reports.tables import to_csv

Manifest = Mapping[str, Any]


def provenance_section(m: Material) -> Section:
    """Every table of the section."""
    content = provenance_content(m.results, m.stores, m.failures, m.board.baseline, m.asked)
    return Section("provenance", "Provenance", content, {"embeddings": embeddings_csv(m.stores)})


def embeddings_csv(stores: Mapping[str, Sequence[Manifest]]) -> str:
    """Every store with its rows and the start of its digest."""
    return to_csv(
        [
            {
                "encoder": name,
                "data": m["data"]["name"],
                "split": m["data"]["split"],
                "rows": m["rows"],
                "dims": m["dims"],
                "digest": m["content"][:12],
            }
            for name, found in stores.items()
            for m in found
        ]
    )


def provenance_content(
    results: Sequence[Result],
    stores: Mapping[str, Sequence[Manifest]],
    failures: Sequence[Mapping[str, str]],
    baseline: str | None,
    asked: Sequence[Command] = (),
) -> dict[str, Any]:
    """Every table of the section."""
    return {
        "tasks": list(tasks(results).values()),
        "encoders": [_encoder(name, found) for name, found in stores.items()],
        "protocols": [
            {
                "name": name,
                "source": settings.get("source", ""),
                "settings": [(k, _plain(v)) for k, v in settings.items() if k != "source"],
            }
            for name, settings in sorted({r.protocol: r.about["settings"] for r in results}.items())
        ],
        "stores": [
            (title(name), f"{m['data']['name']} {m['data']['split']}", m["rows"], m["content"][:12])
            for name, found in stores.items()
            for m in found
        ],
        "versions": versions(results),
        "failures": failures,
        "doubts": [
            f"{title(r.encoder)}, {r.about['title']}, {r.protocol}"
            for r in results
            if any(m.converged is False for m in r.cell.rows)
        ],
        "commands": commands(stores, baseline, asked),
        "cells": len(results),
    }


def versions(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Libraries with every version that made a cell of this page."""
    found: dict[str, set[str]] = {}
    for r in results:
        for name, version in r.about["versions"].items():
            found.setdefault(name, set()).add(str(version))
    return [(name, " and ".join(sorted(found[name]))) for name in sorted(found)]


def _encoder(name: str, found: Sequence[Manifest]) -> dict[str, Any]:
    first, training = found[0]["encoder"], found[0]["encoder"].get("training")
    return {
        "title": title(name),
        "kind": first["kind"],
        "dims": ", ".join(str(d) for d in sorted({m["dims"] for m in found})),
        "parameters": first["parameters"],
        "trained": f"{training['method']}, {training['steps']:,} steps on {training['data']['name']}"
        if training
        else "",
        "seed": training["config"].get("seed", "") if training else "",
    }


def commands(stores: Mapping[str, Sequence[Manifest]], baseline: str | None, asked: Sequence[Command] = ()) -> str:
    """The command lines that make cells and page again; OUT is the folder of the run, PATH/TO where a set of yours is.

    Stores that a grid made are made by its words, in `asked`; the others by what their manifests say.

    >>> print(commands({}, "byol"))
    relic-eval evaluate --out OUT
    relic-eval report --out OUT --baseline byol
    """
    grids = [(set(its.encoders), set(its.datasets)) for its in asked]
    lines: list[str] = []
    together: dict[str, list[str]] = {}  # by what follows the encoders, so that one command embeds them all
    given: list[str] = []  # those that no command makes, said in one line where the first of them stands
    first = 0
    for name, found in stores.items():
        kind, training = found[0]["encoder"]["kind"], found[0]["encoder"].get("training")
        if training:
            lines.append(_pretrain(name, training))
        if kind in ("imported", "module", "callable"):
            first = first if given else len(lines)
            given.append(_inline(name))
            continue
        more = name.partition(",")[2]  # settings stand in a name, unless another was given
        source = f"OUT/pretrain/{shlex.quote(name)}" if training else shlex.quote(f"{kind},{more}" if more else kind)
        renamed = (
            ""
            if training or more or name in (kind.split(":")[0], kind.rpartition(":")[2])
            else f" --name {shlex.quote(name)}"
        )
        rest = [m for m in found if not any(name in e and m["data"]["name"] in d for e, d in grids)]
        for end in dict.fromkeys(_end(m) for m in rest):
            if renamed:
                lines.append(f"relic-eval embed {source}{renamed}{end}")
            else:
                together.setdefault(end, []).append(source)
    if given:
        lines.insert(
            first, f"# {'; '.join(given)}: embeddings came from Python (save_embeddings or embed) or a .npy file"
        )
    lines += [f"relic-eval embed {' '.join(sources)}{end}" for end, sources in together.items()]
    if together or any(" embed " in line for line in lines) or not asked:
        lines.append("relic-eval evaluate --out OUT")
    lines += [f"{shlex.join(['relic-eval', *its.words])} --out OUT" for its in asked]
    lines.append("relic-eval report --out OUT" + (f" --baseline {shlex.quote(baseline)}" if baseline else ""))
    return "\n".join(lines)


def _pretrain(name: str, training: Mapping[str, Any]) -> str:
    settings = [f"--set {shlex.quote(f'{k}={_typed(v)}')}" for k, v in sorted(training["config"].items())]
    start = f"relic-eval pretrain {training['method']} --data {_path(training['data']['name'])} --name {shlex.quote(name)} --out OUT"
    return " \\\n    ".join([start, *(" ".join(settings[i : i + 6]) for i in range(0, len(settings), 6))])


def _end(manifest: Manifest) -> str:
    skip = " --on-error skip" if manifest.get("request", {}).get("on_error") == "skip" else ""
    return f" --data {_path(manifest['data']['name'])}{skip} --out OUT"


def _path(dataset: str) -> str:
    """A known set by name; of a folder only its last name is known here."""
    return dataset if is_known(dataset) else shlex.quote(f"PATH/TO/{dataset}")


def _typed(value: Any) -> str:
    """A setting as `--set` takes it."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _inline(name: str) -> str:
    return " ".join(name.split())
