"""The evaluators, listed by hand, and the protocols: one evaluator each with every setting frozen, under a name."""

from __future__ import annotations

import dataclasses
from typing import Any

from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.discriminability import Discriminability
from relic_eval.evaluators.fewshot import FewShot
from relic_eval.evaluators.knn import Knn
from relic_eval.evaluators.logistic import Logistic

EVALUATORS: dict[str, type] = {
    "logistic": Logistic,
    "knn": Knn,
    "blocks": Blocks,
    "discriminability": Discriminability,
    "fewshot": FewShot,
}
PROTOCOLS: dict[str, Any] = {
    "linear-byol": Logistic(),
    "fewshot-5": FewShot(shots=5),
    "knn": Knn(),
    "blocks": Blocks(),
    "discriminability": Discriminability(),
}
SOURCES = {
    "linear-byol": "BYOL, appendix D.2: 45 penalties from 1e-6 to 1e5, chosen on validation rows, refitted on all",
    "fewshot-5": "chosen here: five labelled images a class, 20 draws, one penalty for all draws",
    "knn": "majority vote by cosine similarity; k chosen on validation rows",
    "blocks": "RELICv2's neighbour block matrix: 5 nearest neighbours, Euclidean distance, 50 images a class",
    "discriminability": "RELICv2's figure: mean inter-class over mean intra-class Euclidean distance",
}
TITLES = {
    "linear-byol": "linear probe",
    "fewshot-5": "five labelled a class",
    "knn": "nearest neighbours",
    "blocks": "neighbour blocks",
    "discriminability": "distance between / within classes",
}


def describe(protocol: str) -> dict[str, Any]:
    """The settings of a protocol and where they come from.

    >>> describe("knn")["similarity"]
    'cosine'
    """
    evaluator = PROTOCOLS[protocol]
    return {**dataclasses.asdict(evaluator), "version": evaluator.version, "source": SOURCES[protocol]}
