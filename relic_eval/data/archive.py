"""Pictures read straight from a tar: where each member's bytes lie is noted once, and nothing is ever unpacked."""

from __future__ import annotations

import csv
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from relic_eval.data.folder import digest_files
from relic_eval.errors import DataError

DEFLATED = -15  # zlib's window for the bare stream in a zip
LOCAL_HEADER = 30  # bytes before a zip member's name; the lengths of name and extra field are its last four


@dataclass(frozen=True)
class Span:
    """Bytes of one member: where they start in the tar, how many they are there, and how many once inflated (0: stored)."""

    start: int
    length: int
    inflated: int = 0


@dataclass(frozen=True)
class Archive:
    """A tar and the places of its members, by name; members of a zip `a/b.zip` in it are called `a/b/NAME`."""

    path: Path
    spans: Mapping[str, Span]

    def read(self, name: str) -> bytes:
        """The bytes of a member. Each call opens the file: threads share nothing. Raises DataError where the tar is cut short."""
        span = self.spans[name]
        with open(self.path, "rb") as file:
            file.seek(span.start)
            content = file.read(span.length)
        if len(content) != span.length:
            raise DataError(f"{name}: expected {span.length} bytes, received {len(content)}. Copy the archive anew.")
        if not span.inflated:
            return content
        try:
            return zlib.decompressobj(DEFLATED).decompress(content, span.inflated)
        except zlib.error as error:
            raise DataError(f"{name}: expected deflated bytes, received others ({error})") from None

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV member."""
        return list(csv.DictReader(io.StringIO(self.read(name).decode())))


def open_archive(path: Path) -> Archive:
    """The index of a tar, made once for as long as size and time of the file stay the same.

    >>> open_archive(Path("/nowhere/x.tar"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected an archive /nowhere/x.tar, received nothing there. Check the path.
    """
    try:
        state = path.stat()
    except OSError:
        raise DataError(f"expected an archive {path}, received nothing there. Check the path.") from None
    return _indexed(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=32)
def _indexed(path: Path, size: int, modified: int) -> Archive:
    spans: dict[str, Span] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.isreg() and not member.issparse():
                    spans[member.name] = Span(member.offset_data, member.size)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise DataError(f"{path}: expected a tar, received something else ({error}). Copy it anew.") from None
    archive = Archive(path, spans)
    for name in [n for n in spans if n.endswith(".zip")]:
        spans.update(_zipped(archive, name))
    return archive


def _zipped(archive: Archive, name: str) -> dict[str, Span]:
    """Where the members of a zip lie in the tar around it."""
    content, start, found = archive.read(name), archive.spans[name].start, {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            members = packed.infolist()
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{archive.path}: expected a zip {name}, received something else ({error}). Copy it anew."
        ) from None
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{archive.path}: {name}: expected stored or deflated members, received {member.filename}.")
        lengths = struct.unpack_from("<HH", content, member.header_offset + LOCAL_HEADER - 4)
        inflated = member.file_size if member.compress_type == zipfile.ZIP_DEFLATED else 0
        place = start + member.header_offset + LOCAL_HEADER + sum(lengths)
        found[f"{name.removesuffix('.zip')}/{member.filename}"] = Span(place, member.compress_size, inflated)
    return found


def archive_digest(path: Path, cache: Path | None) -> str:
    """The digest of a tar's bytes; while its size and time stay as a note in `cache` says, it stands."""
    return digest_files(path.parent, [path], path.name, cache)
