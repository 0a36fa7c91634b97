"""Boards of any size, made as the real ones are: correct answers drawn, then resampled together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import erfc, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.board import Board, Column
from relic_eval.board.changes import Values, differences, entries, rows
from relic_eval.scoring import Scored
from reports import page
from reports.sections.board.board import board_section
from reports.sections.board.scaling import scaling_section
from reports.sections.section import Material

TITLES = ("Fashion-MNIST", "Oxford Flowers", "RSSCN7 scenes", "Pets", "EuroSAT", "DTD textures", "STL-10", "Food-101",
          "Caltech-101", "CIFAR-10", "Stanford Cars", "FGVC aircraft")  # fmt: skip


def made_board(
    encoders: Sequence[str],
    tasks: int,
    *,
    protocols: Sequence[str] = ("linear-byol",),
    n: int = 1000,
    missing: float = 0.0,
    seed: int = 0,
) -> Board:
    """Encoders that follow each other in steps of half a point, each column of its own difficulty; pixels are far below."""
    rng, baseline = np.random.default_rng(seed), encoders[0]
    columns = [
        Column(f"task-{t}", p, f"{TITLES[t % len(TITLES)]}{'' if t < len(TITLES) else t}", n)
        for p in protocols
        for t in range(tasks)
    ]
    values = Values(baseline, sorted(encoders))
    for number in range(len(columns)):
        here = [e for e in sorted(encoders) if e == baseline or rng.random() >= missing]
        hard, level = rng.random(n), 0.5 + 0.4 * rng.random()
        share = {e: level - 0.006 * i + 0.02 * rng.random() - 0.3 * (e == "pixels") for i, e in enumerate(encoders)}
        right_MN = np.array([(hard + 0.1 * rng.normal(size=n)) < share[e] for e in here], float)
        weights_BN = rng.multinomial(n, np.full(n, 1 / n), size=400)
        sample_MB = right_MN @ weights_BN.T / n
        value_M = right_MN.mean(1)
        p_MM = np.array([[_p(a, b) for b in right_MN] for a in right_MN])
        ends_M2 = np.percentile(sample_MB, [2.5, 97.5], axis=1).T
        values.add(number, here, Scored(value_M, ends_M2, sample_MB, p_MM, False))
    found = differences(columns, values)
    its = entries(values, found)
    return Board(baseline, tuple(columns), tuple(rows(its, columns, values)), tuple(found))


def _p(one_N: np.ndarray, other_N: np.ndarray) -> float:
    """Two-sided sign test in its normal form."""
    more, less = ((one_N > other_N).sum(), (one_N < other_N).sum())
    return 1.0 if more + less == 0 else erfc(abs(more - less) / sqrt(2 * (more + less)))


def page_of(board: Board, folder: Path, stores: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> Path:
    """A page of the board and of what it costs alone, as a file."""
    sections = page.SECTIONS
    page.SECTIONS = (board_section, scaling_section)
    try:
        text = page.to_html(Material((), board, stores or {}))
    finally:
        page.SECTIONS = sections
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    return file
