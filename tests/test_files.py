"""Whole or not at all, whatever is killed and whoever else is at work."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from relic_eval import files
from relic_eval.files import whole_folder, write_bytes

DEAD = 2**22 + 1  # no process has this number


def fill(path, text):
    with whole_folder(path) as new:
        (new / "x").write_text(text)


@pytest.mark.parametrize("before", ["new", "aside"])
def test_a_process_that_is_killed_between_two_renames_loses_nothing(tmp_path, before):
    """The folder was moved aside and the new one did not come: it goes back to its place."""
    place = tmp_path / "report"
    fill(place, "old")
    code = f"""
import os, sys
from pathlib import Path
from relic_eval import files
real, calls = os.rename, []
def rename(a, b):
    calls.append(a)
    if len(calls) == {1 if before == "new" else 2}:
        os._exit(9)
    real(a, b)
files.os.rename = rename
with files.whole_folder(Path({str(place)!r})) as new:
    (new / "x").write_text("new")
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert place.exists() == (before == "new")
    write_bytes(tmp_path / "other", b"")  # another name does not touch it
    with whole_folder(place) as new:
        assert (place / "x").read_text() == "old"
        (new / "x").write_text("newer")
    assert (place / "x").read_text() == "newer"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "report"]


@pytest.mark.parametrize(
    ("owner", "stays"),
    [(f"{DEAD}-{files._processes()}", False), (f"{DEAD}-77", True), (f"{os.getpid()}-{files._processes()}", True)],
    ids=["dead", "of other processes", "alive"],
)
def test_only_what_a_dead_process_of_ours_left_is_removed(tmp_path, owner, stays):
    left = tmp_path / f".cell.{owner}.abc.tmp"
    left.mkdir()
    fill(tmp_path / "cell", "1")
    assert left.exists() == stays


def test_many_writers_of_one_folder_end_with_one_of_theirs(tmp_path):
    place, errors = tmp_path / "cell", []

    def work(number):
        try:
            for turn in range(20):
                fill(place, f"{number}.{turn}")
        except OSError as error:
            errors.append(error)

    code = f"""
from pathlib import Path
from relic_eval.files import whole_folder
for turn in range(150):
    with whole_folder(Path({str(place)!r})) as new:
        (new / "x").write_text(f"p.{{turn}}")
"""
    others = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    work(0)
    said = [other.communicate(timeout=120)[1].decode() for other in others]
    assert [other.returncode for other in others] == [0, 0, 0], said
    assert errors == []
    assert [p.name for p in tmp_path.iterdir()] == ["cell"]
    assert (place / "x").read_text()


def test_a_folder_that_another_process_moves_about_meanwhile_is_replaced_all_the_same(tmp_path, monkeypatch):
    place, rename, targets = tmp_path / "cell", os.rename, []
    fill(place, "before")

    def late(source, target):
        targets.append(Path(target))
        if targets.count(place) == 1 and Path(target) == place:  # another's was there and is just being moved aside
            raise OSError(errno.ENOTEMPTY, "Directory not empty")
        if targets.count(place) == 2 and Path(target) == place:  # and back it comes before ours is put back
            place.mkdir()
            (place / "x").write_text("another's")
        rename(source, target)

    monkeypatch.setattr("relic_eval.files.os.rename", late)
    fill(place, "ours")
    assert targets.count(place) == 3
    assert (place / "x").read_text() == "ours"
    assert [p.name for p in tmp_path.iterdir()] == ["cell"]
