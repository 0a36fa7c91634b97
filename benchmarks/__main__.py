"""python -m benchmarks list | ID... | all [--quick] [--json]"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.claim import Figure
from benchmarks.claims import CLAIMS
from relic_eval.devices import versions
from relic_eval.errors import RelicError, look_up

RESULTS = Path(__file__).parent / "results.jsonl"


def main() -> None:
    """Run the named claims one after another; print each figure and append it to results.jsonl."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("ids", nargs="+", help="list, all, or ids")
    parser.add_argument("--quick", action="store_true", help="smallest sizes that run every line; nothing is kept")
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    if options.ids == ["list"]:
        print("\n".join(f"{name}: {claim.work}" for name, claim in CLAIMS.items()))
        return
    try:
        claims = {
            name: look_up("benchmark", name, CLAIMS) for name in (CLAIMS if options.ids == ["all"] else options.ids)
        }
    except RelicError as error:
        raise SystemExit(f"benchmarks: {error}") from None
    for name, claim in claims.items():
        for figure in claim.measure(options.quick):
            line = _line(name, claim.work, figure)
            print(json.dumps(line) if options.json else _plain(line), flush=True)
            if not options.quick:
                with open(RESULTS, "a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")


def _line(name: str, work: str, figure: Figure) -> dict[str, Any]:
    import torch  # after relic_eval, which says how threads wait

    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in dataclasses.asdict(figure).items()}
    return {
        "id": name,
        "work": work,
        **rounded,
        "met": figure.met,
        "machine": ", ".join([platform.machine(), f"{os.cpu_count()} cores", *gpu]),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
    }


def _plain(line: dict[str, Any]) -> str:
    peer = "" if line["peer"] is None else f", peer {line['peer']} {line['unit']}"
    verdict = {True: "met", False: "missed", None: "no target"}[line["met"]]
    target = "" if line["target"] is None else f" (target {line['target']})"
    note = f"; {line['note']}" if line["note"] else ""
    figures = f"ours {line['ours']} {line['unit']}{peer}, value {line['value']}{target}: {verdict}"
    return f"{line['id']} {line['work']}, {line['what']}: {figures}{note}"


if __name__ == "__main__":
    main()
