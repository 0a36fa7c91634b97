"""A page of one part, in the manner of the report: self-contained, with the same style, script and policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from reports.page import _environment, _hash, _json, _text


def standalone(key: str, heading: str, content: Any, csv: Mapping[str, str]) -> str:
    """templates/`key`.html around `content`, which it knows by that name, with `key`.css where there is one."""
    styles = [_text("page.css") + _text(f"{key}.css"), _text("drawing.css")]
    scripts = [_text("page.js") + _text(f"{key}.js")]
    return (
        _environment()
        .get_template(f"{key}.html")
        .render(
            {key: content},
            heading=heading,
            data=_json({"csv": dict(csv)}),
            styles=[Markup(s) for s in styles],
            scripts=[Markup(s) for s in scripts],
            style_hashes=[_hash(s) for s in styles],
            script_hashes=[_hash(s) for s in scripts],
        )
    )
