"""Which test pictures a task has met before: the record, its folder, and training rows without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.data.tasks import Task
from relic_eval.errors import DataError
from relic_eval.files import differing, digest_file, digest_json, folder_name, whole_folder, write_json
from relic_eval.metrics.statistics import wilson
from relic_eval.progress import warn
from relic_eval.records import FORMAT, Embeddings, Table, read_versioned
from relic_eval.tables import read_table, write_table

KINDS = ("exact", "re-encoded", "near")  # the first two are of pictures, the last of an encoder's embeddings
OWN = "train"  # what a task's test pictures are sought in, unless another set is named
PAIRS = ("test", "train", "kind", "distance", "test_path", "train_path", "test_class", "train_class")
LEAKED = ("id", "kind")
ABOUT = {
    "key": str,
    "task": str,
    "against": str,
    "encoder": str,
    "counts": {"test": int, "train": int},
    "data": {"train": str, "test": str},
    "settings": dict,
    "files": dict,
}
SHOWN = 10  # pairs in the text for a terminal
MOST_PAIRS = 60  # on a page, and whose pictures are kept


@dataclass(frozen=True)
class Leaks:
    """Pairs of a test picture and a training (or pretraining) picture that are one, and all training rows in any of them.

    pairs:  test, train (ids), kind, distance (0; bits of the hash; 1 - cosine), paths and classes; the nearest of each test picture
    leaked: id, kind (the strongest) of every training picture that is also tested, in the order of the listing
    """

    task: str
    against: str  # OWN, or the name of the set that an encoder was pretrained on
    encoder: str  # of the near ones; empty where pictures are compared
    counts: Mapping[str, int]  # pictures: test, train
    data: Mapping[str, str]  # digests: train, test
    settings: Mapping[str, Any]
    pairs: Table
    leaked: Table
    thumbnails: Mapping[str, bytes]  # WebP of pictures in the first pairs: "test ID" and "train ID"

    def tested(self, kind: str = "") -> int:
        """How many test pictures are in a pair (of that kind)."""
        return len(np.unique(self.pairs["test"][(self.pairs["kind"] == kind) | (kind == "")]))

    def share(self, kind: str = "") -> tuple[float, float, float]:
        """Share of test pictures in a pair (of that kind), with its 95% interval (Wilson)."""
        number, n = self.tested(kind), self.counts["test"]
        return number / n, *wilson(number, n)


def leaks_path(out: Path, task: str, against: str = OWN, encoder: str = "") -> Path:
    """`out`/leaks/tasks/TASK/train, or /pretraining.SET; of an encoder's near ones `out`/leaks/near/ENCODER/TASK/train.

    >>> leaks_path(Path("o"), "birds").as_posix(), leaks_path(Path("o"), "birds", encoder="a/b").as_posix()
    ('o/leaks/tasks/birds/train', 'o/leaks/near/a%2Fb/birds/train')
    """
    top = out / "leaks" / "near" / folder_name(encoder) if encoder else out / "leaks" / "tasks"
    return top / folder_name(task) / (OWN if against == OWN else f"pretraining.{folder_name(against)}")


def write_leaks(out: Path, leaks: Leaks, key: str) -> Path:
    """Write the record whole or not at all, in the place of an older one."""
    path = leaks_path(out, leaks.task, leaks.against, leaks.encoder)
    with whole_folder(path) as new:
        write_table(new / "pairs.parquet", {name: leaks.pairs[name] for name in PAIRS})
        write_table(new / "leaked.parquet", {name: leaks.leaked[name] for name in LEAKED})
        webp = np.empty(len(leaks.thumbnails), object)
        webp[:] = list(leaks.thumbnails.values())
        write_table(new / "thumbnails.parquet", {"id": np.array([*leaks.thumbnails], "<U"), "webp": webp})
        about = {name: getattr(leaks, name) for name in ("task", "against", "encoder", "counts", "data", "settings")}
        files = {f.name: digest_file(f) for f in sorted(new.glob("*.parquet"))}
        write_json(new / "leaks.json", {**about, "format": FORMAT, "key": key, "files": files})
    return path


def key_of_leaks(path: Path) -> str:
    """The key of a whole record; empty where there is none, or a damaged one.

    >>> key_of_leaks(Path("/nowhere"))
    ''
    """
    try:
        about = read_versioned(path / "leaks.json", ABOUT)
    except DataError:
        return ""
    return "" if differing(path, about["files"]) else str(about["key"])


def read_leaks_at(path: Path) -> Leaks:
    """The record in a folder; a DataError where there is none, or a damaged one."""
    about = read_versioned(path / "leaks.json", ABOUT)
    wrong = differing(path, about["files"])
    if wrong:
        raise DataError(f"{path / wrong[0]}: expected the table that leaks.json describes, received another or none.")
    pairs, leaked = read_table(path / "pairs.parquet", PAIRS), read_table(path / "leaked.parquet", LEAKED)
    text = {name: pairs[name].astype(str) for name in PAIRS if name != "distance"}
    small = read_table(path / "thumbnails.parquet", ("id", "webp"))
    return Leaks(
        **{name: about[name] for name in ("task", "against", "encoder", "counts", "data", "settings")},
        pairs={**text, "distance": pairs["distance"]},
        leaked={name: leaked[name].astype(str) for name in LEAKED},
        thumbnails=dict(zip(small["id"].tolist(), small["webp"].tolist(), strict=True)),
    )


def read_leaks(out: Path) -> list[Leaks]:
    """Every record under `out`, those of pictures first; a damaged one is warned of and passed over.

    >>> read_leaks(Path("/nowhere"))
    []
    """
    found = []
    for pattern in ("leaks/tasks/*/*/leaks.json", "leaks/near/*/*/*/leaks.json"):
        for file in sorted(out.glob(pattern)):
            try:
                found.append(read_leaks_at(file.parent))
            except DataError as error:
                warn(f"{error} It is passed over; 'relic-eval leaks' makes it again.")
    return found


def leaked_ids(out: Path, task: Task, data: Mapping[str, str]) -> np.ndarray:
    """Ids of the training pictures of a task that it also tests, exactly or re-encoded, as 'relic-eval leaks' found them.

    `data` are the digests of the stores' train and test pictures. Near ones are left in: which those are depends on the
    encoder, and encoders are compared on the same training rows. Raises DataError where the search was not made, or of
    other pictures.
    """
    path = leaks_path(out, task.name)
    again = f"Run 'relic-eval leaks {task.dataset} --out {out}' first."
    if not (path / "leaks.json").exists():
        raise DataError(f"{task.name}: expected a search for leaks in {path}, received none. {again}")
    leaks = read_leaks_at(path)
    if dict(leaks.data) != {half: data[half] for half in ("train", "test")}:
        raise DataError(
            f"{task.name}: expected a search for leaks in the pictures as embedded, received one in others. {again}"
        )
    return leaks.leaked["id"]


def dropped_words(out: Path, task: Task, ids: Collection[str]) -> str:
    """How many training pictures of a task are left out, of how many, after 'relic-eval leaks' has searched it.

    >>> dropped_words(Path("/nowhere"), Task("birds", "Birds", "birds"), ())
    'birds: no training picture is tested too, none is left out'
    """
    if not len(ids):
        return f"{task.name}: no training picture is tested too, none is left out"
    count, one = len(set(ids)), "it is" if len(set(ids)) == 1 else "they are"
    total = read_leaks_at(leaks_path(out, task.name)).counts["train"]
    return f"{task.name}: {count:,} of {total:,} training pictures left out, as {one} tested too"


def drop_digest(ids: np.ndarray) -> str:
    """What `Task.drop` says of training rows that are dropped: part of a cell's key; empty where none are.

    >>> drop_digest(np.array([])), drop_digest(np.array(["b", "a"])) == drop_digest(np.array(["a", "b", "b"]))
    ('', True)
    """
    names = np.unique(ids.astype(str)).tolist()
    return digest_json(names)[:16] if names else ""


def drop_leaks(rows: Embeddings, ids: np.ndarray) -> Embeddings:
    """Training (or validation) rows without the pictures of these ids; DataError where a class would have none left.

    Rows leave the training side, after the division: the test set stays the published one, the same for every encoder, and
    cells stay paired picture by picture; the rows that are left keep their part.

    >>> e = Embeddings(np.zeros((3, 1)), np.array([0, 0, 1]), ("a", "b"), ids=np.array(["x", "y", "z"]))
    >>> drop_leaks(e, np.array(["y", "elsewhere"])).ids.tolist()
    ['x', 'z']
    """
    if rows.ids is None:
        raise DataError("expected rows with ids to drop leaked ones from, received none. Embed the pictures again.")
    left = rows.take(~np.isin(rows.ids, ids.astype(str)))
    gone = np.setdiff1d(rows.y_N, left.y_N)
    if len(gone):
        raise DataError(
            f"class {rows.classes[gone[0]]!r}: expected training pictures that are not tested too, received none. "
            "Mend the division of the set, or evaluate without dropping leaks."
        )
    return left


def leaks_content(leaks: Leaks) -> dict[str, Any]:
    """What a page shows of a record, as JSON has it: counts, shares with intervals, and the pairs that have pictures."""
    kinds = [k for k in KINDS if (k == "near") == bool(leaks.encoder)]
    shares = {}
    for kind in kinds:
        value, low, high = leaks.share(kind)
        shares[kind] = {"tested": leaks.tested(kind), "share": value, "low": low, "high": high}
    rows = range(min(MOST_PAIRS, len(leaks.pairs["test"])))
    pairs = [{name: _plain(leaks.pairs[name][i]) for name in PAIRS} for i in rows]
    about = {name: getattr(leaks, name) for name in ("task", "against", "encoder")}
    return {
        **about,
        "counts": dict(leaks.counts),
        "shares": shares,
        "leaked_train": len(leaks.leaked["id"]),
        "labels_disagree": int((leaks.pairs["test_class"] != leaks.pairs["train_class"]).sum()),
        "pairs": pairs,
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def leaks_text(leaks: Leaks) -> str:
    """A record for a terminal: a line of shares, then the first pairs."""
    said = leaks_content(leaks)
    where = "its training pictures" if leaks.against == OWN else f"{leaks.against}, which was pretrained on"
    who = f" by {leaks.encoder}" if leaks.encoder else ""
    shares = ", ".join(
        f"{its['tested']} {kind} ({100 * its['share']:.2f}%, {100 * its['low']:.2f} to {100 * its['high']:.2f})"
        for kind, its in said["shares"].items()
    )
    head = (
        f"{leaks.task}{who}: of {leaks.counts['test']:,} test pictures in {where} ({leaks.counts['train']:,}): {shares}"
    )
    lines = [head]
    for i in range(min(SHOWN, len(leaks.pairs["test"]))):
        pair = {name: leaks.pairs[name][i] for name in PAIRS}
        other = (
            ""
            if pair["test_class"] == pair["train_class"]
            else f", labelled {pair['test_class']} and {pair['train_class']}"
        )
        lines.append(f"  {pair['kind']} ({pair['distance']:.3g}): {pair['test']} = {pair['train']}{other}")
    more = len(leaks.pairs["test"]) - SHOWN
    return "\n".join([*lines, *([f"  and {more} more pairs"] if more > 0 else [])])
