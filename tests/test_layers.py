"""A module imports only what stands to its left."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = [
    "errors",
    "files",
    "arrays markup records devices progress efficiency timings commands sharding",
    "views",
    "metrics",
    "probes",
    "tables",
    "store",
    "evaluators | data encoders",
    "intake",
    "tuning | monitor",
    "cells",
    "results",
    "pairing merging",
    "scoring contrast alike",
    "board",
    "published",
    "features",
    "fill",
    "encode",
    "plan outcome",
    "run",
    "tuned",
    "grid",
    "saliency",
    "listing comparison revisions atlas library training duel anchor",
    "cli __init__",
]
PRETRAIN = {
    "errors",
    "files",
    "arrays",
    "records",
    "devices",
    "progress",
    "data",
    "views",
    "encoders",
    "metrics",
    "probes",
    "monitor",
}
REPORTS = {
    "errors",
    "files",
    "markup",
    "records",
    "progress",
    "efficiency",
    "cells",
    "commands",
    "results",
    "pairing",
    "contrast",
    "alike",
    "board",
    "published",
    "store",
    "data",
}
LOOK_UP = {
    "cli",
    "__init__",
    "library",
    "comparison",
    "revisions",
    "listing",
    "training",
    "saliency",
}  # the public face: these offer what the other packages make


def rank() -> dict[str, tuple[int, int]]:
    return {
        name: (level, side)
        for level, text in enumerate(ORDER)
        for side, part in enumerate(text.split("|"))
        for name in part.split()
    }


def imports(file: Path) -> set[tuple[str, str]]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        if isinstance(node, ast.ImportFrom) and node.module == "relic_eval":
            names = [f"relic_eval.{a.name}" for a in node.names]
        found |= {(n.split(".")[0], n.split(".")[1] if "." in n else "") for n in names}
    return found


def top(file: Path) -> str:
    return file.relative_to(ROOT / "relic_eval").parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", sorted((ROOT / "relic_eval").rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_relic_eval_looks_left(file):
    mine, ranks = top(file), rank()
    assert mine in ranks, f"{mine} has no place in the order"
    for package, module in imports(file):
        if package in ("pretrain", "reports"):
            assert mine in LOOK_UP, f"{file} looks up at {package}"
        elif package == "relic_eval" and module and module != mine:
            ours, theirs = ranks[mine], ranks[module]
            same_side = ours[0] == theirs[0] and ours[1] == theirs[1]
            assert theirs[0] < ours[0] or same_side, f"{mine} must not import {module}"


@pytest.mark.parametrize(("package", "allowed"), [("pretrain", PRETRAIN), ("reports", REPORTS)])
def test_the_other_packages_see_only_their_share(package, allowed):
    for file in (ROOT / package).rglob("*.py"):
        for name, module in imports(file):
            assert name not in {"pretrain", "reports"} - {package}, file
            assert name != "relic_eval" or module in allowed, f"{file} imports relic_eval.{module}"
