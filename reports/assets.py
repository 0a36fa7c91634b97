"""What stands around the words of a page: templates, styles, scripts with their hashes, and the numbers that scripts need."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.style import clipped, twin_rules
from reports.words import number, percent, roughly, signed

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Jinja over templates/, which escapes everything and takes no name that is not there for empty."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(percent=percent, number=number, roughly=roughly, signed=signed, clipped=clipped)
    return found


def around(keys: Iterable[str], content: Any, rules: str = "") -> dict[str, Any]:
    """Styles and scripts of a page with these parts, their hashes for its policy, and `content` for its scripts.

    What is in templates/page.css and page.js all parts share; KEY.css and KEY.js need not exist. `rules` are further rules of
    style. drawing.css stands apart, because a figure that is saved takes it along.
    """
    keys = list(keys)
    styles = [
        "".join([_text("page.css"), *(_text(f"{key}.css") for key in keys), twin_rules(), rules]),
        _text("drawing.css"),
    ]
    parts = [f"ready.push(() => {{\n{text}}});\n" for key in keys if (text := _text(f"{key}.js"))]
    scripts = ["".join([_text("page.js"), *parts, _text("start.js")])]
    return {
        "data": packed(content),
        "styles": [Markup(s) for s in styles],
        "scripts": [Markup(s) for s in scripts],
        "style_hashes": [_hash(s) for s in styles],
        "script_hashes": [_hash(s) for s in scripts],
    }


def packed(content: Any) -> str:
    """JSON, zlib, base64: a third as long, and nothing that text could break out of.

    >>> unpacked(packed({"a": "</script>"}))
    {'a': '</script>'}
    """
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> Any:
    """What `packed` was given, as JSON knows it."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def _text(name: str) -> str:
    """A style or script without its comments and indents; empty where there is none."""
    place = TEMPLATES / name
    if not place.exists():
        return ""
    text = place.read_text(encoding="utf-8")
    comment = r"/\*.*?\*/\n?" if name.endswith(".css") else r"^\s*//[^\n]*\n"
    return re.sub(r"^[ \t]+", "", re.sub(comment, "", text, flags=re.S | re.M), flags=re.M)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
