"""From the name of a data set to its splits: a bundled set, or a folder of class folders."""

from __future__ import annotations

from pathlib import Path

from relic_eval.data.bundled import SPLITS, bundled
from relic_eval.data.folder import folder_pictures, folder_title, splits
from relic_eval.data.pictures import Pictures
from relic_eval.data.tasks import refuse_bundled_name
from relic_eval.errors import ArgumentError, DataError, UnknownNameError


def dataset_splits(name: str) -> tuple[str, ...]:
    """The splits of a data set by name (`fashion`, `digits`) or path.

    >>> dataset_splits("fashion")
    ('train', 'test', 'test-shifted')
    """
    if name in SPLITS:
        return SPLITS[name]
    _must_be_folder(name)
    return splits(Path(name))


def pictures(name: str, split: str, cache: Path | None = None) -> Pictures:
    """One split of a data set by name or path; `cache` is a folder for notes on digests of your own files.

    >>> pictures("fashion", "test").classes[1]
    'Trouser'
    """
    if name in SPLITS:
        return bundled(name, split)
    _must_be_folder(name)
    return folder_pictures(Path(name), split, cache)


def split_digest(name: str, split: str, cache: Path | None = None) -> str:
    """The digest of a split's pictures and labels, decoding none of them: for the path that skips what exists.

    >>> split_digest("fashion", "test") == pictures("fashion", "test").digest
    True
    """
    from relic_eval.data.bundled import digits_digest, fashion_digest
    from relic_eval.data.pictures import SHIFT
    from relic_eval.files import digest_json

    if name == "digits":
        return digits_digest()
    if name == "fashion":
        digest = fashion_digest(split)
        return digest_json([digest, "shifted", SHIFT, 0]) if split.endswith("-shifted") else digest
    return pictures(name, split, cache).digest


def dataset_name(name: str) -> str:
    """What people see: the bundled name, or the last part of the path, which must not be the name of something bundled.

    >>> dataset_name("fashion"), dataset_name("/data/my birds")
    ('fashion', 'my birds')
    """
    if name in SPLITS:
        return name
    last = folder_title(Path(name))
    refuse_bundled_name("--data", last)
    return last


def refuse_inside(out: Path, data: str) -> None:
    """An error where results would be written among the pictures of a folder, and become one of its classes.

    >>> refuse_inside(Path("/data/birds/out"), "/data/birds")
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --out: expected a folder outside of the data in /data/birds, received /data/birds/out. ...
    """
    if data not in SPLITS and Path(data).expanduser().resolve() in (place := out.resolve(), *place.parents):
        raise ArgumentError(
            "--out", f"a folder outside of the data in {data}", str(out), "It would become one of the classes."
        )


def _must_be_folder(name: str) -> None:
    if not Path(name).expanduser().is_dir():
        if "/" in name or "\\" in name or name.startswith("."):
            raise DataError(f"expected a folder {name}, received nothing there. Check the path.")
        raise UnknownNameError("--data", name, SPLITS, " or a folder of class folders")
