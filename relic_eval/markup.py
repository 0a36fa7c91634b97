"""Small pieces of HTML for notebooks: no script, no colours, and nothing of a name is read as markup."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

CELL = "text-align:{};vertical-align:top;padding:2px 10px 2px 0;overflow-wrap:anywhere"


def listed(lines: Sequence[str]) -> str:
    """A list of sentences.

    >>> listed(["a < b"])
    '<ul style="max-width:75ch"><li>a &lt; b</li></ul>'
    """
    return f'<ul style="max-width:75ch">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls inside itself where it is wider than its place; numbers stand at the right.

    >>> "<td" in table(["a"], [["<b>"]]), "<b>" in table(["a"], [["<b>"]])
    (True, False)
    """
    sides = ["right" if rows and all(_numeric(row[place]) for row in rows) else "left" for place in range(len(head))]
    first = "".join(_cell("th", text, side) for text, side in zip(head, sides, strict=True))
    body = "".join(
        f"<tr>{''.join(_cell('td', text, side) for text, side in zip(row, sides, strict=True))}</tr>" for row in rows
    )
    style = "border-collapse:collapse;font-variant-numeric:tabular-nums"
    return (
        f'<div style="overflow-x:auto;max-width:100%"><table style="{style}"><thead><tr>{first}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(tag: str, text: str, side: str) -> str:
    return f'<{tag} style="{CELL.format(side)}">{escape(text)}</{tag}>'


def _numeric(text: str) -> bool:
    return not text or text[0].isdigit() or text[0] in "+-−"


def picture(kind: str, content: bytes, name: str, side: int = 64) -> str:
    """A small picture with everything in it, and what it is called.

    >>> picture("webp", b"x", '"')
    '<img src="data:image/webp;base64,eA==" width="64" height="64" alt="&quot;" title="&quot;" style="margin:2px">'
    """
    import base64

    text, called = base64.b64encode(content).decode(), escape(name, quote=True)
    return (
        f'<img src="data:image/{kind};base64,{text}" width="{side}" height="{side}" alt="{called}" '
        f'title="{called}" style="margin:2px">'
    )
