"""What was tested on: counts and splits of each task, pictures that could not be read, and pictures that are tested and trained on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.cells import Result
from relic_eval.data.leaks import OWN, Leaks, leaks_content
from relic_eval.data.registry import is_known
from reports.sections.section import Manifest, Material, Section
from reports.sections.sheet import Sheet, view
from reports.style import title
from reports.words import METRICS, counted, percent, several

PAIRS = 6  # of a search, with their pictures
ALL_PAIRS = 24
KINDS = {
    "exact": "the same picture",
    "re-encoded": "the same, saved or scaled again",
    "near": "near it by an encoder",
}


def data_section(m: Material) -> Section:
    """Every table of the section."""
    here = tasks(m.results)
    data = [manifest["data"] for its in m.stores.values() for manifest in its]
    sizes = {(its["name"], its["digest"]): its["sizes"] for its in data if "sizes" in its}
    records = [its for its in m.leaks if its.task in here]
    searched = {its.task for its in records if its.against == OWN and not its.encoder and is_of(its, here[its.task])}
    unsearched = {name: about for name, about in here.items() if name not in searched and not about["elsewhere"]}
    content = {
        "finding": finding(here, records),
        "tasks": [
            its | {"sizes": sizes_words(sizes.get((its["dataset"], its["digests"][1])))} for its in here.values()
        ],
        "unsized": any((its["dataset"], its["digests"][1]) not in sizes for its in here.values()),
        "sized": max((its["of"] for its in sizes.values()), default=0),
        "unreadable": unreadable(m.stores, m.results),
        "leaks": [line for its in records for line in _lines(its, here[its.task])],
        "pairs": pairs(records, m.sheet),
        "unsearched": several([about["title"] for about in unsearched.values()]) if unsearched else "",
        "commands": sorted({_command(about["dataset"]) for about in unsearched.values()}),
    }
    return Section("sets", "Data", content)  # the page's numbers have the anchor #data


def tasks(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """Counts, splits and digests of each task, by name, from most test images down; of its cells the one of most test images."""
    found: dict[str, dict[str, Any]] = {}
    for r in results:
        settings, counts, before = r.about["task_settings"], r.about["counts"], found.get(r.task)
        most = counts if before is None else max(before["counts"], counts, key=lambda its: its["test"])
        classes = max(len(r.about["classes"]), before["classes"] if before else 0)
        found[r.task] = {
            "title": settings["title"],
            "dataset": settings["dataset"],
            "elsewhere": bool(settings.get("trains_on")),
            "splits": f"{settings['dataset']}: {_halves(settings)}",
            "metric": METRICS.get(settings.get("metric", "top1"), settings.get("metric", "")),
            "classes": classes,
            "counts": most,
            "dropped": max(counts.get("dropped", 0), before["dropped"] if before else 0),
            "seed": settings["seed"],
            "digests": (r.about["data"]["train"], r.about["data"]["test"]),
        }
    return {name: found[name] for name in sorted(found, key=lambda n: (-found[n]["counts"]["test"], n))}


def sizes_words(sizes: Mapping[str, Any] | None) -> str:
    """Shorter and longer sides of the pictures as they lie, in pixels; empty where they were not noted.

    >>> sizes_words({"of": 9, "shorter": [28, 28, 28], "longer": [28, 28, 28]})
    '28 × 28'
    >>> sizes_words({"of": 9, "shorter": [100, 333, 500], "longer": [200, 500, 500]})
    '100–500 (333) × 200–500 (500)'
    """
    if not sizes:
        return ""
    return " × ".join(
        f"{low}" if low == high else f"{low}–{high} ({middle})"
        for low, middle, high in (sizes["shorter"], sizes["longer"])
    )


def _halves(settings: Mapping[str, Any]) -> str:
    if settings["train"] == settings["test"]:
        return f"{settings['train']}, divided 60 / 20 / 20"
    train = f"{settings['trains_on']} {settings['train']}" if settings.get("trains_on") else settings["train"]
    return f"{train} / {settings['test']}"


def unreadable(stores: Mapping[str, Sequence[Manifest]], results: Sequence[Result]) -> list[dict[str, Any]]:
    """Pictures that could not be read and were left out: of stores, and of cells that no store stands behind."""
    found = [
        (f"{m['data']['name']} {m['data']['split']}", title(name), m["data"]["unreadable"])
        for name, its in stores.items()
        for m in its
        if m["data"]["unreadable"]
    ]
    found += [
        (f"{r.task}, {r.protocol}", title(r.encoder), r.about["unreadable"])
        for r in results
        if r.about.get("unreadable")
    ]
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}  # most encoders lack the same ones
    for where, name, pictures in found:
        together.setdefault((where, tuple(pictures)), []).append(name)
    return [
        {"data": where, "encoders": several(list(dict.fromkeys(names))), "pictures": list(pictures)}
        for (where, pictures), names in together.items()
    ]


def is_of(leaks: Leaks, about: Mapping[str, Any]) -> bool:
    """Whether a search was made in the pictures that the task has on this page."""
    train, test = about["digests"]
    return leaks.data["test"] == test and (leaks.against != OWN or leaks.data["train"] == train)


def finding(here: Mapping[str, Mapping[str, Any]], records: Sequence[Leaks]) -> str:
    """What the searches found, in a title: the task of the largest share."""
    own = [its for its in records if its.against == OWN and not its.encoder and is_of(its, here[its.task])]
    if not own:
        return "No search was made for pictures that are tested and trained on"
    worst = max(own, key=lambda its: its.share()[0])
    rest = len(here) - len({its.task for its in own})
    more = f"; {counted(rest, 'task')} not searched" if rest else ""
    if not worst.tested():
        return f"No test picture of {counted(len(own), 'task')} is among its training pictures{more}"
    share, n = percent(worst.share()[0]), worst.counts["test"]
    return f"{here[worst.task]['title']}: {worst.tested():,} of {n:,} test pictures ({share}%) are trained on too{more}"


def _lines(leaks: Leaks, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    said = leaks_content(leaks)
    where = "its training pictures" if leaks.against == OWN else f"{leaks.against} (pretraining)"
    return [
        {
            "title": about["title"],
            "where": where + ("" if is_of(leaks, about) else ", other pictures than those of this page"),
            "kind": KINDS[kind] + (f", {title(leaks.encoder)}" if leaks.encoder else ""),
            "n": leaks.counts["test"],
            **its,
        }
        for kind, its in said["shares"].items()
    ]


def leak_key(leaks: Leaks) -> str:
    """What the pictures of a search are known by on the sheet, in the place of a digest; their ids are "test ID" and "train ID"."""
    return f"leaks of {leaks.data['test']} in {leaks.data['train']}"


def pairs(records: Sequence[Leaks], sheet: Sheet) -> list[dict[str, Any]]:
    """The first pairs of each search that have both pictures; searches of the same pictures (superclasses) show them once."""
    found: list[dict[str, Any]] = []
    seen = set()
    for leaks in records:
        said = leaks_content(leaks)
        for pair in said["pairs"][:PAIRS]:
            key = (leak_key(leaks), leaks.encoder, pair["test"], pair["train"])
            places = sheet.places(leak_key(leaks), [f"{half} {pair[half]}" for half in ("test", "train")])
            if key in seen or min(places) < 0 or len(found) >= ALL_PAIRS:
                continue
            seen.add(key)
            found.append(
                {
                    "views": [view(place) for place in places],
                    "names": (pair["test"], pair["train"]),
                    "classes": (pair["test_class"], pair["train_class"]),
                    "kind": pair["kind"],
                    "task": leaks.task,
                }
            )
    return found


def _command(dataset: str) -> str:
    name = dataset if is_known(dataset) else shlex.quote(f"PATH/TO/{dataset}")
    return f"relic-eval leaks {name} --out OUT"
