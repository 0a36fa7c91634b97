"""Every method, as a user runs it: pretrain, embed, evaluate, report."""

from __future__ import annotations

import pytest

from pretrain import checkpoint
from pretrain.config import METHODS
from relic_eval.encode import embed, find_encoders
from relic_eval.results import read_results
from relic_eval.run import evaluate
from relic_eval.training import train
from reports.write import write_report

STEPS = "80"
DIGITS = ("linear-byol", "knn", "discriminability")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """All methods trained on the digits' training rows, embedded, measured and shown."""
    out = tmp_path_factory.mktemp("through")
    runs = [train(m, "digits", out, name=m, changes={"steps": STEPS, "monitor_every": "40"}) for m in METHODS]
    for encoder in find_encoders([*map(str, runs), "random:thin-resnet"], None):
        embed(encoder, "digits", out)
    done = evaluate(out, protocols=DIGITS)
    assert (done.made, done.failed) == (len(DIGITS) * (len(METHODS) + 1), 0)
    write_report(out)
    return out


@pytest.mark.parametrize("method", METHODS)
def test_a_method_lowers_its_loss_and_is_on_the_board(method, out):
    history = checkpoint.read_about(checkpoint.latest(out / "pretrain" / method))["history"]["loss"]
    losses = [value for _, value in history]
    assert sum(losses[-3:]) / 3 < 0.98 * losses[0]  # RELIC begins near the logarithm of its batch
    cells = [r for r in read_results(out) if r.encoder == method]
    assert {c.protocol for c in cells} == set(DIGITS)
    top1 = {c.protocol: c.cell.rows[0].value for c in cells}
    assert top1["linear-byol"] > 0.7  # of ten classes; by chance 0.1
    assert (out / "pretrain" / method / "monitor.csv").exists()
    assert (out / "pretrain" / method / "views.png").exists()
    page = (out / "report" / "index.html").read_text()
    board = (out / "report" / "tables" / "board.csv").read_text()
    title = {"simclr": "SimCLR", "relic": "RELIC", "relicv2": "RELICv2", "byol": "BYOL", "supervised": "Supervised"}
    assert title[method] in page
    assert method in board
