"""Files and folders that are there whole or not at all: written beside their place, synced, then renamed."""

from __future__ import annotations

import contextlib
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

RESERVED = '/\\%:*?"<>|'  # in file names, on one system or another


def _temporary(path: Path) -> tuple[Path, str]:
    """Folder and prefix for a temporary neighbour of `path`; what killed processes left under that name is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        owner = left.name[len(path.name) + 2 :].split(".")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return path.parent, f".{path.name}.{os.getpid()}."


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
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
    folder, prefix = _temporary(path)
    handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
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


def read_record(path: Path, shape: Mapping[str, type]) -> dict[str, Any]:
    """The content of a JSON file that must be an object with these keys of these types, or a DataError that names it.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "x.json"; write_json(place, {"a": 1})
    >>> read_record(place, {"a": int})
    {'a': 1}
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a record, received {content!r:.40}. Delete it and make it again.")
    for name, kind in shape.items():
        if not isinstance(content.get(name), kind):
            received = f"{content[name]!r:.40}" if name in content else "none"
            raise DataError(
                f"{path}: expected a record with {name} ({kind.__name__}), received {received}. Delete it and make it again."
            )
    return content


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
    if not path.exists():
        os.rename(new, path)
        return
    folder, prefix = _temporary(path)
    old = Path(tempfile.mkdtemp(dir=folder, prefix=prefix, suffix=".tmp"))
    os.rmdir(old)
    os.rename(path, old)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def digest_bytes(content: bytes) -> str:
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
