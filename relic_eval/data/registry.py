"""Every named data set and suite, listed by hand, and how a text that people type becomes a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relic_eval.data import imagenet, mini, transfer
from relic_eval.data.bundled import SPLITS, bundled, digits_digest, fashion_digest
from relic_eval.data.folder import folder_pictures, folder_title, splits
from relic_eval.data.named import Named, named_digest, open_named
from relic_eval.data.own import OwnTask, own_pictures, own_splits, task
from relic_eval.data.own_scenes import holds_masks, own_scene_splits, own_scenes
from relic_eval.data.parquet import parquet_parts, parquet_pictures, parquet_splits
from relic_eval.data.pictures import SHIFT, Pictures, said_in_words
from relic_eval.data.scenes import SCENES, Scenes, scene_splits, scenes
from relic_eval.data.tasks import TASKS, refuse_bundled_name
from relic_eval.data.toml import read_task
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.files import digest_json

NAMED: dict[str, Named] = {**mini.MINI, **transfer.TRANSFER, **imagenet.IMAGENET}
SUITES: dict[str, tuple[str, ...]] = {
    "mini": mini.SUITE,
    "transfer": transfer.SUITE,
    "robust-imagenet": imagenet.ROBUST,
}


@dataclass(frozen=True)
class Source:
    """A data set by the text that names it. Making one opens no picture; each of its parts looks when it is called."""

    name: Callable[[], str]
    splits: Callable[[], tuple[str, ...]]
    open: Callable[[str, Path | None], Pictures]
    digest: Callable[[str, Path | None], str]
    roots: Callable[[], tuple[Path, ...]]  # folders of pictures, into which no results may go
    said: Callable[[], dict[str, Any]] = dict  # what it says of its task: title, metric, blocks
    scenes: Callable[[str, Path | None], Scenes] | None = None  # of a set with masks, in place of open and digest


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Names of data sets, suites put in as their members, each once, in the order in which they came.

    >>> expand(["digits", "mini"])[:2], len(expand(["mini", "mini-mnist"]))
    (('digits', 'mini-cifar10'), 11)
    """
    return tuple(dict.fromkeys(member for name in names for member in SUITES.get(name, (name,))))


def find_source(text: str | OwnTask) -> Source:
    """The source that a text means: a bundled or named set, `NAME:FOLDER`, a TOML file, a folder; or a task made by `task`.

    A folder with images/ and masks/ (or with both in its train/) is a set with masks.

    Raises UnknownNameError for a name that is none, ArgumentError for a suite, of which each member is a source.

    >>> find_source("fashion").splits()
    ('train', 'test', 'test-shifted')
    """
    if isinstance(text, OwnTask):
        return _own_masked(text) if text.metric == "miou" else _own(text)
    if text in SPLITS:
        return _bundled(text)
    if text in SCENES:
        return _masked(text, None)
    if text in SUITES:
        raise ArgumentError(
            "--data", "one data set", f"the suite {text}", f"It stands for {', '.join(SUITES[text])}: name one of them."
        )
    if text in NAMED:
        return _named(NAMED[text], None)
    name, colon, folder = text.partition(":")
    if colon and folder and name in NAMED:
        return _named(NAMED[name], Path(folder).expanduser())
    if colon and folder and name in SCENES:
        return _masked(name, Path(folder).expanduser())
    place = Path(text).expanduser()
    if text.lower().endswith(".toml") and not place.is_dir():
        return find_source(read_task(place))
    if holds_masks(place):
        return _own_masked(task(folder_title(place), folder=place, metric="miou"))
    return _folder(text)


def _own(own: OwnTask) -> Source:
    def name() -> str:
        refuse_known_name(own.name)
        return own.name

    return Source(
        name,
        lambda: own_splits(own),
        lambda split, cache: own_pictures(own, split, cache),
        lambda split, cache: own_pictures(own, split, cache).digest,
        lambda: own.places,
        lambda: said_in_words(own.title, own.metric, own.block_classes),
    )


def _own_masked(own: OwnTask) -> Source:
    def name() -> str:
        refuse_known_name(own.name)
        return own.name

    return _of_scenes(
        name,
        lambda: own_scene_splits(own),
        lambda split, cache: own_scenes(own, split, cache),
        own.places,
        said_in_words(own.title, own.metric, ()),
    )


def _masked(name: str, folder: Path | None) -> Source:
    return _of_scenes(
        lambda: name,
        lambda: scene_splits(name),
        lambda split, cache: scenes(name, split, cache, folder=folder),
        () if folder is None else (folder,),
        said_in_words(SCENES[name].title, "miou", ()),
    )


def _of_scenes(
    name: Callable[[], str],
    parts: Callable[[], tuple[str, ...]],
    opened: Callable[[str, Path | None], Scenes],
    roots: tuple[Path, ...],
    said: dict[str, Any],
) -> Source:
    def refused(split: str, cache: Path | None) -> Any:
        hint = "Name it to 'relic-eval transfer' with --protocol segment-linear."
        raise ArgumentError("--data", "a set with labels", f"{name()}, which has masks", hint)

    return Source(name, parts, refused, refused, lambda: roots, lambda: said, opened)


def _bundled(name: str) -> Source:
    def digest(split: str, cache: Path | None) -> str:
        if split not in SPLITS[name]:
            raise UnknownNameError("split", split, SPLITS[name])
        if name == "digits":
            return digits_digest()
        made = fashion_digest(split)
        return digest_json([made, "shifted", SHIFT, 0]) if split.endswith("-shifted") else made

    return Source(lambda: name, lambda: SPLITS[name], lambda split, cache: bundled(name, split), digest, lambda: ())


def _named(named: Named, folder: Path | None) -> Source:
    def known(split: str) -> str:
        if split not in (there := named.listed(folder)):
            raise UnknownNameError("split", split, there)
        return split

    return Source(
        lambda: named.name,
        lambda: named.listed(folder),
        lambda split, cache: open_named(named, known(split), folder, cache),
        lambda split, cache: named_digest(named, known(split), folder, cache),
        lambda: (named.place(folder),) if named.below != "." else (),
        lambda: said_in_words(named.title, named.metric, (), named.trains_on),
    )


def _folder(text: str) -> Source:
    place = Path(text).expanduser()

    def there() -> Path:
        if not place.is_dir():
            if "/" in text or "\\" in text or text.startswith("."):
                raise DataError(f"expected a folder {text}, received nothing there. Check the path.")
            others = ", another name of 'relic-eval list datasets', a TOML file or a folder of pictures"
            raise UnknownNameError("--data", text, {*SPLITS, *SUITES}, others, [*NAMED, *SCENES])
        return place

    def opened(split: str, cache: Path | None) -> Pictures:
        if parquet_parts(there()):
            return parquet_pictures(place, split, cache)
        return folder_pictures(place, split, cache)

    def parts() -> tuple[str, ...]:
        return parquet_splits(place) if parquet_parts(there()) else splits(place)

    def name() -> str:
        refuse_known_name(last := folder_title(place))
        return last

    return Source(
        name,
        parts,
        opened,
        lambda split, cache: opened(split, cache).digest,
        lambda: (place,),
    )


def refuse_known_name(name: str) -> None:
    """An error where a set of one's own is called like one that is known: its numbers would stand under that name.

    >>> refuse_known_name("mini-mnist")
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --data: expected a name of its own, received 'mini-mnist', which is a data set ...
    """
    refuse_bundled_name("--data", name)
    if name in NAMED or name in SUITES or name in SCENES:
        raise ArgumentError(
            "--data",
            "a name of its own",
            f"{name!r}, which is a data set or suite that is known",
            f"Type {name}:FOLDER for that very set, or give yours another name (a link to it will do).",
        )


def is_known(name: str) -> bool:
    """Whether a data set of that name is found by it alone, wherever its pictures lie.

    >>> is_known("mini-mnist"), is_known("my-birds")
    (True, False)
    """
    return name in SPLITS or name in NAMED or name in SCENES


def dataset_lines() -> list[str]:
    """Every data set that has a name, a line each, and what else may be named.

    >>> dataset_lines()[0]
    'fashion: train, test, test-shifted; bundled'
    """
    found = [f"{name}: {', '.join(parts)}; bundled" for name, parts in SPLITS.items()]
    for named in NAMED.values():
        said = named.counts
        sizes = [f"{n:,} {what}" for n, what in ((said.train, "train"), (said.test, "test")) if n]
        found.append(f"{named.name}: {named.title}; {said.classes} classes, {', '.join(sizes)}; {named.metric}")
    found += [f"{suite}: the suite of {', '.join(members)}" for suite, members in SUITES.items()]
    return [*found, *OTHERS]


OTHERS = (
    "NAME:FOLDER: a set of that name, in a folder of yours",
    "FILE.toml: a task of your own (docs/tasks.md)",
    "FOLDER: class folders, with or without train/ and test/ above them, or Parquet files as data/train-*.parquet",
    "FOLDER: images/ and masks/ (PNG), with or without train/ and test/ above them, for segmentation",
)


def task_lines() -> list[str]:
    """Every task that is known before anything is embedded, a line each.

    >>> task_lines()[0]
    'fashion: Fashion, ten classes (fashion, train -> test)'
    """
    bundled_ones = [f"{t.name}: {t.title} ({t.dataset}, {t.train} -> {t.test})" for t in TASKS.values()]
    others = [
        f"{n.name}: {n.title} ({n.trains_on or n.name}, train -> {f'{n.name}, ' if n.trains_on else ''}test)"
        for n in NAMED.values()
    ]
    return [*bundled_ones, *others]
