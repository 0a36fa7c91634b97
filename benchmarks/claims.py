"""The claims by id; each is measured by one function of a script beside this file."""

from __future__ import annotations

from benchmarks import (
    bootstrap,
    decoding,
    distances,
    neighbours,
    page,
    path,
    quickstart,
    saliency,
    similarity,
    slopes,
    training,
    transfer,
)
from benchmarks.claim import Claim

CLAIMS = {
    "Q1": Claim("quickstart", quickstart.whole),
    "Q2": Claim("memory of the quickstart", quickstart.memory),
    "Q3": Claim("relic-eval --help", quickstart.help_page),
    "Q4": Claim("import relic_eval", quickstart.importing),
    "Q5": Claim("a second quickstart", quickstart.again),
    "P1": Claim("45 penalties", path.small),
    "P2": Claim("45 penalties", path.large),
    "P3": Claim("nearest neighbours", neighbours.search),
    "P4": Claim("exact Euclidean discriminability", distances.exact),
    "P5": Claim("squared and cosine discriminability", distances.closed),
    "P6": Claim("paired stratified bootstrap", bootstrap.paired),
    "P7": Claim("linear CKA", similarity.cka),
    "P8": Claim("time over size", slopes.doubled),
    "T1": Claim("RELICv2 step", training.step),
    "T2": Claim("views of a batch", training.views),
    "T3": Claim("two ranks", training.ranks),
    "T4": Claim("memory of a step", training.memory),
    "T5": Claim("loading", training.loading),
    "T6": Claim("decoding while training", decoding.steps),
    "T7": Claim("torch.compile", training.compiled),
    "B1": Claim("mini suite, cold, refitted, and again (B1 to B3)", transfer.suite),
    "B4": Claim("pictures a second", transfer.throughput),
    "L1": Claim("the page (L1, L2, L5, L6)", page.page),
    "S1": Claim("saliency masks", saliency.masks),
}
