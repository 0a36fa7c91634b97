"""Which cells stand: of embeddings and settings in use, and not failed since; what to type for the others."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from relic_eval.cells import Result, failure_path, read_cell, read_failures
from relic_eval.data.corruptions import corruptions_of
from relic_eval.data.tasks import tasks_of
from relic_eval.data.views import views_of
from relic_eval.errors import DataError, NewerError, UnknownNameError
from relic_eval.evaluators.table import DEFAULT, PROTOCOLS, describe
from relic_eval.files import digest_json
from relic_eval.progress import short, warn
from relic_eval.store import find_stores, in_use, read_manifest, weights_of
from relic_eval.tuning.table import PROTOCOLS as TUNED
from relic_eval.tuning.table import describe as describe_tuned


def read_results(out: Path, encoders: Sequence[str] = (), tasks: Sequence[str] = ()) -> list[Result]:
    """The cells under `out` that stand, of these encoders and tasks or of all, in the order of their names.

    A cell of embeddings or of settings of a protocol that have changed since, or one that could not be made again, stands no
    longer; a damaged one is warned of and left out. Raises DataError where none is left, UnknownNameError for a name that no cell has.
    """
    return results_and_unread(out, encoders, tasks)[0]


def results_and_unread(
    out: Path, encoders: Sequence[str] = (), tasks: Sequence[str] = (), *, any_settings: bool = False
) -> tuple[list[Result], list[dict[str, str]]]:
    """What `read_results` gives, and by its names and why each cell that cannot be read: damaged, or of another format.

    With `any_settings` cells of a protocol's older settings stand too: to compare two versions is to compare these.
    """
    manifests = {(s.encoder, s.dataset, s.split): read_manifest(s.path) for s in find_stores(out)}
    contents, current = {name: m["content"] for name, m in manifests.items()}, in_use(out)
    weights: dict[str, set[str]] = {}
    for (encoder, *_), m in manifests.items():
        weights.setdefault(encoder, set()).add(weights_of(m))
    results: list[Result] = []
    old: list[Result] = []
    unread: list[dict[str, str]] = []
    for path in sorted(p.parent for p in out.glob("cells/*/*/*/cell.json")):
        try:
            result = read_cell(path)
        except DataError as error:
            encoder, task, protocol = (unquote(part) for part in path.parts[-3:])
            # what is shown elsewhere names no folder of this machine
            why = str(error).replace(f"{path}/", "").replace(f"{path}: ", "")
            unread.append({"encoder": encoder, "task": task, "protocol": protocol, "error": why})
            if isinstance(error, NewerError):
                warn(f"{error} Left out.")
            else:
                warn(f"{error} Left out; {made_again(out, [(encoder, protocol)])} makes it again.")
            continue
        failed = failure_path(out, result.encoder, result.task, result.protocol).exists()
        other = _tuned_of_others(result, weights.get(result.encoder, set()), manifests)
        gone = outdated(result, current, contents, any_settings=any_settings)
        (old if failed or other or gone else results).append(result)
    if old:
        names = f"{old[0].encoder} {old[0].task} {old[0].protocol}"
        what = "1 cell" if len(old) == 1 else f"{len(old)} cells"
        left = f"{'is' if len(old) == 1 else 'are'} left out{'' if len(old) == 1 else ', first'}"
        again = made_again(out, [(r.encoder, r.protocol) for r in old])
        warn(f"{what} of older embeddings or settings, or of failed runs, {left} {names}: {again}")
    if not results:
        notes = read_failures(out)
        if notes:
            raise DataError(
                f"{out}: expected cells, received none: {len(notes)} failed, first {notes[0]['encoder']} on {notes[0]['task']} "
                f"({notes[0]['protocol']}): {notes[0]['error']}"
            )
        if unread:
            first = " ".join(unread[0][name] for name in ("encoder", "task", "protocol"))
            raise DataError(
                f"{out}: expected cells, received none that can be read, of {len(unread)}: {first}: {unread[0]['error']}"
            )
        raise DataError(f"{out}: expected cells, received none. Run 'relic-eval evaluate --out {out}' first.")
    known = {"encoder": {r.encoder for r in results}, "task": {r.task for r in results}}
    for kind, asked in (("encoder", encoders), ("task", tasks)):
        for name in asked:
            if name not in known[kind]:
                raise UnknownNameError(kind, name, known[kind])
    chosen = [r for r in results if (not encoders or r.encoder in encoders) and (not tasks or r.task in tasks)]
    _warn_of_other_weights(chosen, manifests)
    its = [u for u in unread if (not encoders or u["encoder"] in encoders) and (not tasks or u["task"] in tasks)]
    return chosen, its


def _warn_of_other_weights(results: Sequence[Result], manifests: Mapping[tuple, Mapping[str, Any]]) -> None:
    """Say where the cells of one encoder were made with different weights: they would stand in one row as if of one network."""
    sets: dict[str, dict[str, set[str]]] = {}  # by encoder and weights: its data sets
    for r in results:
        task = r.about["task_settings"]
        places = {(task["dataset"], task["train"]), (task["dataset"], task["test"]), (task.get("trains_on"), "train")}
        its = {weights_of(m) for place in places if (m := manifests.get((r.encoder, *place))) is not None}
        for digest in {str(r.about.get("weights") or "")} - {""} or its - {""}:
            sets.setdefault(r.encoder, {}).setdefault(digest, set()).add(task["dataset"])
    for encoder, by_weights in sets.items():
        if len(by_weights) > 1:
            groups = "; ".join(sorted(short(its) for its in by_weights.values()))
            warn(
                f"{encoder}: its cells are of {len(by_weights)} encoders with different weights or settings ({groups}), and "
                "stand in one row as if they were one. Embed all of these sets again with the same weights, or give each its "
                "own name (name=)."
            )


def made_again(out: Path, cells: Iterable[tuple[str, str]]) -> str:
    """The command that makes cells of these encoders and protocols again; protocols that are not run by default are named.

    >>> made_again(Path("o"), [("a", "knn")]), made_again(Path("o"), [("a", "fewshot"), ("a", "knn")])
    ("'relic-eval evaluate --out o'", "'relic-eval evaluate --encoder a --protocol fewshot --protocol knn --out o'")
    >>> made_again(Path("o"), [("a", "finetune-small")])
    "'relic-eval transfer ENCODER --data SET --protocol finetune-small --out o', with the encoder and the set as they were named"
    """
    cells = list(cells)
    measured, trained = (sorted({c for c in cells if c[1] in table}) for table in (PROTOCOLS, TUNED))
    texts = []
    if measured or not trained:
        encoders, protocols = (sorted({cell[place] for cell in measured}) for place in (0, 1))
        words = [] if set(protocols) <= set(DEFAULT) else [w for e in encoders for w in ("--encoder", e)]
        words += [w for p in protocols for w in ("--protocol", p)] if words else []
        texts.append(f"'{shlex.join(['relic-eval', 'evaluate', *words, '--out', str(out)])}'")
    if trained:
        words = [w for p in sorted({p for _, p in trained}) for w in ("--protocol", p)]
        line = shlex.join(["relic-eval", "transfer", "ENCODER", "--data", "SET", *words, "--out", str(out)])
        texts.append(f"'{line}', with the encoder and the set as they were named")
    return " and ".join(texts)


def _tuned_of_others(result: Result, weights: set[str], manifests: Mapping[tuple, Mapping[str, Any]]) -> bool:
    """Whether a cell that no store stands behind is of weights or pictures that are not those in use."""
    if not result.about.get("weights"):
        return False
    task, data = result.about["task_settings"], result.about["data"]
    there = {half: manifests.get((result.encoder, task["dataset"], task[half])) for half in ("train", "test")}
    changed = any(m is not None and m["data"]["digest"] != data[half] for half, m in there.items())
    return changed or bool(weights and result.about["weights"] not in weights)


def _numbers(settings: Mapping[str, Any]) -> Any:
    """What a protocol's settings say of its numbers, as JSON has them."""
    return json.loads(json.dumps({name: v for name, v in settings.items() if name != "source"}))


def outdated(result: Result, current: Mapping, contents: Mapping, *, any_settings: bool = False) -> bool:
    """Whether the embeddings behind a cell, or (unless any will do) the settings of its protocol, are no longer those in use.

    `current` is what `in_use` says, `contents` the content of the manifest of each (encoder, data set, split).

    Embeddings that are gone with their whole folder, or damaged, say nothing: the cell was made when they were whole.
    """
    told = describe if result.protocol in PROTOCOLS else describe_tuned if result.protocol in TUNED else None
    if told and not any_settings and _numbers(result.about["settings"]) != _numbers(told(result.protocol)):
        return True
    task = result.about["task_settings"]
    splits = current.get((result.encoder, task["dataset"]))
    place = dict.fromkeys(("train", "test"), task["dataset"])
    if task.get("trains_on"):  # the head is fitted on another set's rows
        place["train"] = place["clean"] = task["trains_on"]
        # a set of several splits is one task where all are there, and else one a split
        given = tasks_of(task["dataset"], set(splits or {}), trains_on=task["trains_on"])
        if splits is not None and result.task not in {t.name for t in given}:
            return True
    for half, content in result.about["stores"].items():
        dataset = place.get(half, task["dataset"])
        split = task[half] if half in ("train", "test") else "test" if half == "clean" else half
        its = current.get((result.encoder, dataset))
        if its is not None and split not in its:
            return True
        if contents.get((result.encoder, dataset, split), content) != content:
            return True
    test = (splits or {}).get(task["test"])
    beside = result.about.get("beside")
    return bool(beside and test is not None and beside_digest(stores_beside(result.protocol, test)) not in ("", beside))


def stores_beside(protocol: str, test: Path) -> list[Path]:
    """The stores beside that of the test pictures which a protocol measures: augmented views, or corrupted pictures.

    >>> stores_beside("knn", Path("/nowhere/test.0"))
    []
    """
    its = PROTOCOLS.get(protocol)
    if getattr(its, "needs_views", False):
        return views_of(test)
    return corruptions_of(test) if getattr(its, "needs_corruptions", False) else []


def beside_digest(stores: Sequence[Path]) -> str:
    """Which stores a cell was made of beside those of whole pictures; empty where there are none.

    >>> beside_digest([])
    ''
    """
    return digest_json([read_manifest(store)["content"] for store in stores]) if stores else ""
