"""A page of one part, in the manner of the report: self-contained, with the same style, script and policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.assets import around, environment


def standalone(key: str, heading: str, content: Any, csv: Mapping[str, str]) -> str:
    """templates/`key`.html around `content`, which it knows by that name, with `key`.css and `key`.js where there are such."""
    parts = around([key], {"csv": dict(csv)})
    return environment().get_template(f"{key}.html").render({key: content}, heading=heading, **parts)
