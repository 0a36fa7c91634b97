"""The command line: parses and calls; decides nothing."""

from __future__ import annotations

import errno
import os
import sys
import time

import typer

from relic_eval.cli import (  # noqa: F401
    comparing,
    judging,
    making,
    showing,
)
from relic_eval.cli.app import app
from relic_eval.errors import ArgumentError, RelicError, told

__all__ = ["app", "main"]


def main() -> None:
    """Run a command. Exit codes: 0, 1 failure, 2 usage, 3 finished with failed cells, 130 interrupted."""
    debug, quiet = "--debug" in sys.argv[1:], ["--quiet"] * ("--quiet" in sys.argv[1:])
    words = [*quiet, *(word for word in sys.argv[1:] if word not in ("--debug", "--quiet"))]  # at any place in the line
    try:
        code = app(words, standalone_mode=False)
    except RelicError as error:
        code = _say(error, debug, 2 if isinstance(error, ArgumentError) else 1)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except OSError as error:
        code = _say(error, debug, 1, _theirs(error) or _os_error(error))
    except MemoryError as error:
        code = _say(error, debug, 1, f"expected enough memory, received too little ({error}). Ask for less at a time.")
    except Exception as error:
        if hasattr(error, "exit_code"):
            code = _usage(error)
        elif text := _theirs(error):
            code = _say(error, debug, 1, text)
        else:  # a fault of ours, shown whole
            raise
    if code == 130:  # typer turns Ctrl-C into this code without a word
        print("relic-eval: interrupted; the same command goes on where it stopped.", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _say(error: Exception, debug: bool, code: int, text: str | None = None) -> int:
    if debug:
        raise error
    if os.environ.get("RANK", "0") != "0":
        time.sleep(5)  # what all ranks find the first one says, and ends the others
    print(f"relic-eval: {text or error}", file=sys.stderr)
    return code


def _theirs(error: Exception) -> str:
    """An error of an encoder's own code, on which it was noted what that was asked for; empty for any other."""
    return f"{told(error)} --debug shows the whole traceback." if hasattr(error, "__notes__") else ""


def _usage(error) -> int:
    """Typer's own errors and exits: their message in one line."""
    text = error.format_message() if hasattr(error, "format_message") else ""
    if text:
        where = error.ctx.command_path.replace("root", "relic-eval") if getattr(error, "ctx", None) else "relic-eval"
        print(f"relic-eval: {text.rstrip('.')}. '{where} --help' shows what there is.", file=sys.stderr)
    return error.exit_code


def _os_error(error: OSError) -> str:
    where = f" at {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"expected room on the disk, received none{where}. Free some and run the command again; what was there is as it was."
    return (
        f"expected to read and write{where}, received '{os.strerror(error.errno or 0)}'. What was there is as it was."
    )
