"""What tells pictures apart without any encoder: a digest of pixels, a perceptual hash and a small grey picture, made once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relic_eval.arrays import digest_array
from relic_eval.data.pictures import Pictures
from relic_eval.errors import DataError
from relic_eval.files import differing, digest_file, digest_json, read_record, whole_folder, write_json
from relic_eval.metrics.hashes import SIDE, grey, phash, shrink
from relic_eval.progress import track, warn
from relic_eval.records import Transform
from relic_eval.tables import read_table, write_table

VERSION = 1  # raise it when the same pictures give other fingerprints
SEEN = Transform(64, squash=True)  # the whole picture, whatever its proportion
BATCH = 64
THREADS = min(8, os.cpu_count() or 1)  # they decode; Pillow lets them
COLUMNS = ("id", "path", "row", "sha256", "phash")


@dataclass(frozen=True)
class Fingerprints:
    """One row a readable picture of a split.

    The digest is of the picture at 64 x 64 pixels, decoded, turned upright and not cropped: equal pixels have equal digests
    whatever the file's name, format and metadata, and no encoder's transform is in it. Different pictures share one only
    where 64 x 64 pixels do not tell them apart.
    """

    ids: np.ndarray  # (N,) str
    paths: np.ndarray  # (N,) str
    row_N: np.ndarray  # (N,) int64, place in the listing
    sha256: np.ndarray  # (N,) str
    phash_N: np.ndarray  # (N,) uint64
    small_NSS: np.ndarray  # (N, 32, 32) uint8, grey

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Fingerprints:
        """The rows with these indices, or of this mask."""
        return Fingerprints(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def fingerprints(source: Pictures, out: Path) -> Fingerprints:
    """The fingerprints of a split, from `out`/leaks/pictures or made in one pass over its pictures.

    Pictures that cannot be read have none; they are counted in a warning.
    """
    place = out / "leaks" / "pictures" / f"{digest_json([source.digest, len(source)])[:16]}.{VERSION}"
    if not (place / "about.json").exists():
        _write(place, _made(source), source.digest)
    try:
        return _read(place)
    except DataError as error:
        warn(f"{error} It is made again.")
    _write(place, _made(source), source.digest)
    return _read(place)


def _made(source: Pictures) -> Fingerprints:
    starts = range(0, len(source), BATCH)

    def batch(start: int) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray, list[str]]:
        rows = np.arange(start, min(start + BATCH, len(source)))
        pixels, problems = source.read(rows, SEEN)
        kept = ~np.isin(rows, list(problems))
        # grey made RGB, so that a grey file and the same picture saved with three channels have one digest
        pixels = np.broadcast_to(pixels[kept], (*pixels[kept].shape[:3], 3))
        shas = [digest_array(p) for p in pixels]
        small = shrink(grey(pixels), SIDE).round().astype(np.uint8)
        return rows[kept], shas, phash(small), small, [*problems.values()]

    pool = ThreadPoolExecutor(THREADS)
    try:
        found = list(track(pool.map(batch, starts), _title(source), len(starts), unit="batch"))
    finally:
        pool.shutdown(cancel_futures=True)
    rows, shas, hashes, small, problems = zip(*found, strict=True)
    wrong = _flat(problems)
    if wrong:
        warn(f"{_title(source)}: {len(wrong)} pictures cannot be read and are left out, first {wrong[0]}")
    row_N = np.concatenate(rows)
    return Fingerprints(
        source.ids[row_N],
        source.paths[row_N],
        row_N,
        np.array(_flat(shas), "<U64"),
        np.concatenate(hashes),
        np.concatenate(small),
    )


def _title(source: Pictures) -> str:
    return f"fingerprints {source.dataset} {source.split}"


def _flat(parts: Iterable[list[str]]) -> list[str]:
    return [text for part in parts for text in part]


def _write(place: Path, made: Fingerprints, digest: str) -> None:
    with whole_folder(place) as new:
        columns = (made.ids, made.paths, made.row_N, made.sha256, made.phash_N)
        write_table(new / "table.parquet", dict(zip(COLUMNS, columns, strict=True)))
        np.save(new / "small.npy", made.small_NSS, allow_pickle=False)
        files = {f.name: digest_file(f) for f in sorted(new.iterdir())}
        write_json(new / "about.json", {"digest": digest, "version": VERSION, "files": files})


def _read(place: Path) -> Fingerprints:
    about = read_record(place / "about.json", {"files": dict})
    wrong = differing(place, about["files"])
    if wrong:
        raise DataError(f"{place / wrong[0]}: expected the file that was written, received another or none.")
    table = read_table(place / "table.parquet", COLUMNS)
    small_NSS = np.load(place / "small.npy", mmap_mode="r", allow_pickle=False)
    text = {name: table[name].astype(str) for name in ("id", "path", "sha256")}
    return Fingerprints(text["id"], text["path"], table["row"], text["sha256"], table["phash"], small_NSS)
