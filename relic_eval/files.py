"""Files and folders that are there whole or not at all: written beside their place, synced, then renamed."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relic_eval.errors import DataError

ASIDE = "aside"  # in the name of a folder that waits for a new one to take its place
TURNS = 20
RESERVED = '/\\%:*?"<>|'  # in file names, on one system or another


def _temporary(path: Path) -> tuple[Path, str]:
    """Folder and prefix for a temporary neighbour of `path`; what killed processes left under that name is put right.

    A folder that was moved aside for a new one that never came goes back to its place; the rest is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in sorted(path.parent.glob(f".{glob.escape(path.name)}.*.tmp")):
        owner = left.name[len(path.name) + 2 :].split(".")[0]
        if _alive(owner):
            continue
        if f".{ASIDE}." in left.name and not path.exists():
            os.rename(left, path)
        else:
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return path.parent, f".{path.name}.{os.getpid()}-{_processes()}."


def _processes() -> str:
    """What process numbers are counted in: containers that share a folder each count from 1."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return "0"


def _alive(owner: str) -> bool:
    """Whether the process that made a temporary name may still be at work; of others than ours that is not known."""
    number, _, processes = owner.partition("-")
    if not number.isdigit() or processes != _processes():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def folder_name(name: str) -> str:
    """A name as that of one folder, from which `urllib.parse.unquote` gives it back; letters of all alphabets stay.

    >>> folder_name("file:a/b"), folder_name("\u043f\u0442\u0438\u0446\u044b 2")
    ('file%3Aa%2Fb', '\u043f\u0442\u0438\u0446\u044b 2')
    """
    return "".join(c if c.isprintable() and c not in RESERVED else quote(c, safe="") for c in name)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; what was there stays until the new content is on the disk.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "a" / "b.txt"
    >>> write_bytes(place, b"hello"); place.read_bytes()
    b'hello'
    """
    with whole_file(path) as new:
        new.write_bytes(content)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A place to write a file at that becomes `path` when all went well, and is gone otherwise.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with whole_file(place) as new: _ = new.write_text("hello")
    >>> place.read_text()
    'hello'
    """
    folder, prefix = _temporary(path)
    handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".tmp")
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON whole or not at all: same content, same bytes; NaN is refused.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "x.json"
    >>> write_json(place, {"b": 1, "a": 2}); read_json(place)
    {'a': 2, 'b': 1}
    """
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """The content of a JSON file, or a DataError that names it.

    >>> read_json(Path("/nowhere/x.json"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected a file /nowhere/x.json, received nothing there.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"expected a file {path}, received nothing there.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: expected JSON, received something else ({error}). Delete it and make it again."
        ) from None


Shape = Mapping[str, Any]  # keys and what is under them: a type, or a shape again


def read_record(path: Path, shape: Shape) -> dict[str, Any]:
    """The content of a JSON file that must be an object with these keys of these types, or a DataError that names it.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "x.json"; write_json(place, {"a": 1})
    >>> read_record(place, {"a": int})
    {'a': 1}
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a record, received {content!r:.40}. Delete it and make it again.")
    _check_shape(path, content, shape)
    return content


def _check_shape(path: Path, content: Mapping[str, Any], shape: Shape, above: str = "") -> None:
    for name, kind in shape.items():
        nested = isinstance(kind, Mapping)
        if not isinstance(content.get(name), dict if nested else kind):
            received = f"{content[name]!r:.40}" if name in content else "none"
            expected = "dict" if nested else kind.__name__
            raise DataError(
                f"{path}: expected a record with {above}{name} ({expected}), received {received}. Delete it and make it again."
            )
        if nested:
            _check_shape(path, content[name], kind, f"{above}{name}.")


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder to write into, which takes the place of `path` only when the block ends without an error.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "cell"
    >>> with whole_folder(place) as new: _ = (new / "x").write_text("1")
    >>> (place / "x").read_text()
    '1'
    """
    folder, prefix = _temporary(path)
    new = Path(tempfile.mkdtemp(dir=folder, prefix=prefix, suffix=".tmp"))
    try:
        os.chmod(new, 0o755)
        yield new
        for file in sorted(new.rglob("*")):
            if file.is_file():
                _sync(file)
        replace_folder(new, path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def replace_folder(new: Path, path: Path) -> None:
    """Move `new` to `path`; what was there leaves only after it has been moved aside, and comes back on failure.

    >>> import tempfile; top = Path(tempfile.mkdtemp()); (top / "new").mkdir()
    >>> replace_folder(top / "new", top / "place"); [p.name for p in top.iterdir()]
    ['place']
    """
    folder, prefix = _temporary(path)
    for turn in range(TURNS):
        old = folder / f"{prefix}{ASIDE}.{turn}.tmp"
        try:
            if path.exists():
                os.rename(path, old)
            os.rename(new, path)
        except OSError as error:
            if old.exists():
                with contextlib.suppress(OSError):  # refused where another process has put its own there by now
                    os.rename(old, path)
            # another process puts its own into the same place: the later one stays
            if (
                error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
                or turn == TURNS - 1
                or not new.exists()
            ):
                raise
        else:
            break
        finally:
            if old.exists() and path.exists():
                shutil.rmtree(old, ignore_errors=True)


def digest_bytes(content: bytes | memoryview) -> str:
    """The SHA-256 of `content`, in hexadecimal.

    >>> digest_bytes(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """The SHA-256 of a file, read in blocks.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "x"; _ = place.write_bytes(b"")
    >>> digest_file(place)[:8]
    'e3b0c442'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differing(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """Names of the files in `folder` that are missing or differ from their digest.

    >>> import tempfile; place = Path(tempfile.mkdtemp()); _ = (place / "x").write_bytes(b"")
    >>> differing(place, {"x": digest_bytes(b""), "y": digest_bytes(b"")})
    ['y']
    """
    return [n for n, digest in digests.items() if not (f := folder / n).is_file() or digest_file(f) != digest]


def digest_json(content: Any) -> str:
    """The SHA-256 of a JSON value, whatever the order of its keys.

    >>> digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    True
    """
    return digest_bytes(json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")).encode())
