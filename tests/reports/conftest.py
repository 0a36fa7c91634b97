"""Pages to look at, and a browser to look at them with."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.intake import import_arrays
from relic_eval.results import read_results
from relic_eval.run import evaluate
from reports.write import write_report


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory):
    """400 handwritten digits, four classes, as a folder of class folders."""
    folder, digits = tmp_path_factory.mktemp("pictures"), load_digits()
    for number, name in enumerate(("nought", "one", "two", "three")):
        (folder / name).mkdir()
        for place, pixels in enumerate(digits.images[digits.target == number][:100]):
            Image.fromarray((pixels * 15).astype(np.uint8)).save(folder / name / f"{place:03}.png")
    return folder


@pytest.fixture(scope="session")
def digits_page(digits_folder, tmp_path_factory):
    """Two encoders of these digits: the page, its run two folders above it."""
    out = tmp_path_factory.mktemp("digits")
    for name in ("pixels", "random:thin-resnet"):
        embed(find_encoder(name), str(digits_folder), out)
    assert evaluate(out).failed == 0
    return write_report(out)


@pytest.fixture(scope="session")
def shifted_folder(tmp_path_factory):
    """Three made-up encoders of a set with moved test images and superclasses; `byol` loses most when they move."""
    out, rng = tmp_path_factory.mktemp("shifted"), np.random.default_rng(1)
    names = np.array(["Pullover", "Coat", "Sneaker", "Ankle boot"])
    above = {"Pullover": "tops", "Coat": "tops", "Sneaker": "shoes", "Ankle boot": "shoes"}
    for name, spread, moved in (("supervised", 0.4, 0.7), ("byol", 0.8, 3.0), ("pixels", 0.9, 2.0)):
        for split, noise in (("train", spread), ("test", spread), ("test-shifted", moved)):
            y = np.repeat(np.arange(4), 40)
            x = 3 * np.eye(4)[y] + rng.normal(0, noise, (160, 4))
            ids = [f"{split}/{row}" for row in range(160)]
            import_arrays(out, name, "fashion", x, names[y], split=split, ids=ids, superclasses=above)
    assert evaluate(out).failed == 0
    return out


@pytest.fixture(scope="session")
def shifted_page(shifted_folder):
    return write_report(shifted_folder)


@pytest.fixture(scope="session")
def shifted_results(shifted_folder):
    return read_results(shifted_folder)


@pytest.fixture(scope="session")
def browser():
    place = shutil.which("chromium") or shutil.which("chromium-browser")
    if place is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have chromium")
        pytest.skip("no chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Open a file in a browser without a network; returns the page and a list that every fault is added to."""
    opened = []

    def go(page_file, width=1280, scheme="light", **options):
        context = browser.new_context(
            offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        opened.append(context)
        page, faults = context.new_page(), []
        page.on("console", lambda m: faults.append(m.text))
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on(
            "request", lambda r: faults.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None
        )
        page.goto(f"file://{page_file}")
        if options.get("java_script_enabled", True):
            page.wait_for_selector("html.ready", state="attached", timeout=60_000)
        return page, faults

    yield go
    for context in opened:
        context.close()


@pytest.fixture(scope="session")
def violations():
    """What axe finds against WCAG 2.1 AA and good practice: rules with their places."""
    from axe_playwright_python.sync_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}

    def found(page):
        every = Axe().run(page, options=options).response["violations"]
        return [(v["id"], [n["html"][:200] for n in v["nodes"]][:3], v["nodes"][0]["failureSummary"]) for v in every]

    return found
