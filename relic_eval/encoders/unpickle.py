"""Pickles of other people, read without running anything of theirs: arrays, dictionaries, lists, numbers and text.

Every opcode is looked at before the first one acts (pickled.py), every name that a pickle asks for stands in a list
(standins.py) and what it stands for is ours, and an array stays bytes until it is asked for.
"""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path
from typing import Any

from relic_eval.encoders.pickled import check_opcodes
from relic_eval.encoders.standins import NAMES, Refused, record
from relic_eval.errors import DataError

OFFICIAL = ("byol", "relicv2", "optax")  # packages whose records the official checkpoints hold
FIELDS = {
    "_ByolExperimentState": ("online_params", "target_params", "online_state", "target_state", "opt_state"),
}


class PlainUnpickler(pickle.Unpickler):
    """An unpickler to which a name means what standins.py says, or nothing: no module is imported, no name looked up."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands in for `module.name`; Refused where the list has none."""
        if (module, name) in NAMES:
            return NAMES[module, name]
        if module.split(".")[0] in OFFICIAL and name.isidentifier():
            return record(FIELDS.get(name, ()))
        raise Refused(f"one that asks for {f'{module}.{name}'!a:.100}")

    def persistent_load(self, pid: Any) -> Any:
        """Nothing outside of the file is part of it."""
        raise Refused("one that refers to something outside of it")


def read_pickle(path: Path) -> Any:
    """Dictionaries, lists, tuples, numbers, text, `Array` and `Record` of a pickle; a DataError for any other.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "a.pkl"; _ = place.write_bytes(b"cos\\nsystem\\n.")
    >>> read_pickle(place)
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: ...a.pkl: expected a pickle of arrays and dictionaries alone, received one that asks for
    'os.system'. Nothing in it was run. Only checkpoints of the official form are read; ask for one that has that form.
    """
    if not path.is_file():
        raise DataError(f"expected a file {path}, received {'a folder' if path.is_dir() else 'nothing'} there.")
    if not path.stat().st_size:
        raise _refusal(path, "an empty file")
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            check_opcodes(content)
            content.seek(0)
            return PlainUnpickler(content).load()
    except Refused as error:
        raise _refusal(path, str(error)) from None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever nonsense makes of the machine: nothing of the file has been used yet
        raise _refusal(path, f"a damaged one ({' '.join(str(error).split()):.100})") from None


def _refusal(path: Path, received: str) -> DataError:
    return DataError(
        f"{path}: expected a pickle of arrays and dictionaries alone, received {received}. Nothing in it was run. "
        "Only checkpoints of the official form are read; ask for one that has that form."
    )
