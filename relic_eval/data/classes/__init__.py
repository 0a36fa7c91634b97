"""Names, ids and hierarchies of published classes: facts in CSV files, each with its source in the first line."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path


@cache
def table(file: str) -> tuple[dict[str, str], ...]:
    """The rows of a file of this folder.

    >>> table("cifar100.csv")[0]
    {'class': 'apple', 'superclass': 'fruit_and_vegetables'}
    """
    text = (Path(__file__).parent / file).read_text(encoding="utf-8").splitlines()
    return tuple(csv.DictReader(line for line in text if not line.startswith("#")))


def column(file: str, name: str) -> tuple[str, ...]:
    """One column of a file of this folder.

    >>> len(column("flowers102.csv", "name")), column("cifar100.csv", "class")[-1]
    (102, 'worm')
    """
    return tuple(row[name] for row in table(file))
