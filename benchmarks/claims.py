"""The claims by id; each is measured by one function of a script beside this file."""

from __future__ import annotations

from benchmarks import quickstart
from benchmarks.claim import Claim

CLAIMS = {
    "Q1": Claim("quickstart", quickstart.whole),
    "Q2": Claim("memory of the quickstart", quickstart.memory),
    "Q3": Claim("relic-eval --help", quickstart.help_page),
    "Q4": Claim("import relic_eval", quickstart.importing),
    "Q5": Claim("a second quickstart", quickstart.again),
}
