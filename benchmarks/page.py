"""L1, L2 and L6: the page of twelve tasks and twenty encoders: its bytes, how soon it opens, answers and is made."""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.claim import Figure, timed

TASKS = ("pets", *(f"task {number}" for number in range(2, 12)))  # and pets by superclass: twelve
ENCODERS = (
    *("supervised", "byol", "simclr", "relic", "relicv2", "pixels", "random"),
    *(f"resnet50-variant-{number:02}" for number in range(13)),
)
CLASSES = ("Abyssinian", "Bengal", "beagle", "boxer")
ABOVE = {"Abyssinian": "cats", "Bengal": "cats", "beagle": "dogs", "boxer": "dogs"}
FIRST = ("fewshot-5", "knn", "discriminability", "spectrum", "map")  # on the first task, beside the probe that all have
WITH_BLOCKS = 6  # encoders
A_CLASS = 125  # test images: 500 pictures, of which the blocks show 50 a class
THUMBNAIL = 64


def make_run(out: Path, *, encoders: int = len(ENCODERS), tasks: int = len(TASKS), pictures: bool = True) -> None:
    """Cells of made-up embeddings, with photographs of the mini suite beside the first task."""
    from relic_eval.intake import import_arrays
    from relic_eval.run import evaluate
    from relic_eval.tables import write_table

    rng = np.random.default_rng(0)
    names, named = np.array(CLASSES), ENCODERS[:encoders]
    small = _photographs() if pictures else None
    for place, task in enumerate(TASKS[:tasks]):
        centres = rng.normal(0, 1, (len(CLASSES), 32))
        per_class = {"train": 40, "test": A_CLASS if place == 0 else 50}
        labels = {split: np.repeat(np.arange(len(CLASSES)), n) for split, n in per_class.items()}
        noise = {split: rng.normal(0, 1, (len(y), 32)) for split, y in labels.items()}
        for number, encoder in enumerate(named):
            width = 1.6 + 0.08 * ((number * 7) % 20) + 0.3 * rng.random()
            for split, y in labels.items():
                own = rng.normal(0, 0.7, noise[split].shape)
                x_ND = centres[y] + width * (noise[split] + own)
                path = import_arrays(
                    out, encoder, task, x_ND, names[y], split=split, superclasses=ABOVE if place == 0 else None
                )
                if small is not None and (place, split) == (0, "test"):
                    ids = np.array([f"{task}/test/{row}" for row in range(len(y))])
                    write_table(path / "thumbnails.parquet", {"id": ids, "webp": small[: len(y)]})
    for wanted in (
        {"protocols": ("linear-byol",)},
        {"protocols": FIRST, "tasks": TASKS[:1]},
        {"protocols": ("blocks",), "tasks": TASKS[:1], "encoders": named[:WITH_BLOCKS]},
    ):
        done = evaluate(out, **wanted)
        if done.failed:
            raise RuntimeError(f"expected every cell to be made, received {done.failed} that failed")


def _photographs() -> np.ndarray:
    from PIL import Image

    from relic_eval.data.registry import find_source

    source = find_source("mini-oxfordpets37").open("test", None)
    pixels, _ = source.read(np.linspace(0, len(source) - 1, len(CLASSES) * A_CLASS).astype(int), THUMBNAIL)
    found = np.empty(len(pixels), object)
    for place, picture in enumerate(pixels):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "WEBP", quality=80)
        found[place] = file.getvalue()
    return found


def page(quick: bool) -> Iterator[Figure]:
    """All figures of one page, made and opened several times."""
    from relic_eval.alike import make_alike
    from reports.material import read_material
    from reports.page import to_html
    from reports.write import write_report

    with tempfile.TemporaryDirectory() as place:
        out = Path(place)
        make_run(out, encoders=8 if quick else len(ENCODERS), tasks=3 if quick else len(TASKS))
        make_alike(out)
        whole = to_html(read_material(out))
        made, stood = [], []
        for _ in range(1 if quick else 5):
            shutil.rmtree(out / "report", ignore_errors=True)
            began = time.time()
            took, file = timed(lambda: write_report(out))
            made.append(took)
            stood.append(max(f.stat().st_mtime for f in (file, *(file.parent / "tables").iterdir())) - began)
        html = file.read_text(encoding="utf-8")
        bare = len(html.encode()) - sum(map(len, _sprites(html)))
        yield Figure("L1, bytes with 500 pictures", len(html.encode()), None, "bytes", len(html.encode()), "<= 3000000")
        yield Figure("L1, without the sheet of pictures", bare, None, "bytes", bare, "<= 400000")
        same = float(html == whole == to_html(read_material(out)))
        yield Figure("L5, made again: same bytes", same, None, "", same, ">= 1")
        yield Figure("L6, made from results", median(stood), None, "s", median(stood), "<= 5", "page and tables")
        yield Figure(
            "L6, with figures for papers", median(made), None, "s", median(made), None, "seven beside the page"
        )
        opened, answered = _opened(file, 3 if quick else 9)
        yield Figure("L2, opened", median(opened), None, "s", median(opened), "<= 1", "load event and first drawing")
        for name, took_ms in answered.items():
            slowest = max(took_ms)
            yield Figure(f"L2, {name} pointed at", slowest, None, "ms", slowest, "<= 50", f"slowest of {len(took_ms)}")


def _sprites(html: str) -> list[str]:
    import re

    return re.findall(r"data:image/webp;base64,[A-Za-z0-9+/=]*", html)


OPENED = """() => {
  const drawn = performance.getEntriesByType("paint").find((e) => e.name === "first-contentful-paint");
  return Math.max(performance.getEntriesByType("navigation")[0].loadEventEnd, drawn ? drawn.startTime : Infinity) / 1000;
}"""
# from the pointer's event to the second frame after it: what is drawn then is the answer
POINTED = {
    "a row": ".blocks",
    "a bin": "#outlines .plot",
    "an image": ".map",
    "a confusion": "#confusion-matrix .cells",
}
ANSWERED = """([place, share]) => new Promise((done) => {
  const svg = document.querySelector(place), box = svg.getBoundingClientRect(), began = performance.now();
  const at = { clientX: box.x + share * box.width, clientY: box.y + share * box.height };
  svg.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, ...at }));
  document.body.getBoundingClientRect();
  requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = () => done(performance.now() - began); c.port2.postMessage(0); });
})"""


def _opened(file: Path, times: int) -> tuple[list[float], dict[str, list[float]]]:
    """Seconds until the page stands, and milliseconds until each place that is pointed at has answered."""
    from playwright.sync_api import sync_playwright

    opened: list[float] = []
    answered: dict[str, list[float]] = {name: [] for name in POINTED}
    with sync_playwright() as play:
        browser: Any = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(times):
            context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
            tab = context.new_page()
            tab.goto(f"file://{file}")
            tab.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
            tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
            opened.append(tab.evaluate(OPENED))
            tab.wait_for_selector("html.ready", state="attached")
            for name, place in POINTED.items():
                tab.locator(place).first.scroll_into_view_if_needed()
                tab.wait_for_timeout(1000)  # until what was scrolled to is drawn, sooner than which nobody points
                answered[name] += [tab.evaluate(ANSWERED, [place, s]) for s in np.linspace(0.1, 0.9, 10).tolist()]
            context.close()
        browser.close()
    return opened, answered
