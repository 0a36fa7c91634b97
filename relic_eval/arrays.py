"""The border: arrays are checked here once, not cast or copied; all code behind it trusts them."""

from __future__ import annotations

from typing import Any

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.files import digest_bytes

MOST = 2**53  # float64 holds all whole numbers up to it
BLOCK_ROWS = 65_536  # rows looked at together when a whole array is checked: a memory map is never read in one go


def digest_array(values: np.ndarray) -> str:
    """The SHA-256 of an array's bytes in row order, whatever its shape and type; nothing is copied of a contiguous one.

    >>> digest_array(np.zeros((2, 0))) == digest_bytes(b""), digest_array(np.eye(2).T) == digest_bytes(np.eye(2).tobytes())
    (True, True)
    """
    return digest_bytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def asarray(value: Any) -> np.ndarray:
    """A NumPy array from an array, a torch tensor (on any device), a pandas object or a list; no copy where avoidable.

    >>> asarray([[1, 2]]).shape
    (1, 2)
    """
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # np.matrix is an array that never loses its second axis
    if hasattr(value, "detach"):  # a torch tensor, without importing torch
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):  # numpy has none
            value = value.float()
    if hasattr(value, "to_numpy"):  # pandas
        return value.to_numpy()
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ArgumentError("array", "rows of one length", f"lists that make none ({error})") from None


def several(name: str, value: Any) -> tuple[str, ...]:
    """Names from a list of them; a single name would otherwise be taken apart into letters.

    >>> several("tasks", ["a", "b"])
    ('a', 'b')
    """
    if isinstance(value, str) or not all(isinstance(v, str) for v in value):
        raise ArgumentError(name, "a list of names", repr(value), f"For example {name}=['{value}'].")
    return tuple(value)


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`.

    >>> whole("k", 5, 1)
    5
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(name, f"a whole number of at least {least}", repr(value))
    return int(value)


def numbers(name: str, value: Any, axes: int) -> np.ndarray:
    """`value` as an array of numbers with so many axes; nothing is said of how long they are.

    >>> numbers("p_M", [0.5, 1], 1)
    array([0.5, 1. ])
    """
    found = asarray(value)
    if found.ndim != axes or found.dtype.kind not in "biuf":
        received = f"shape {found.shape} of {found.dtype}"
        raise ArgumentError(name, f"numbers with {axes} {'axis' if axes == 1 else 'axes'}", received)
    return found


def matrix(name: str, value: Any) -> np.ndarray:
    """`value` as a finite 2-D array of numbers, shape (N, D); integers and float16 become float32, nothing else changes.

    Raises ArgumentError for another shape, no rows, no columns, text, or rows with NaN or infinity (how many, which first).

    >>> matrix("x_ND", [[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    x_ND = asarray(value)
    if x_ND.ndim != 2:
        raise ArgumentError(name, "a 2-D array", f"shape {x_ND.shape}", "Pass one row per image.")
    if 0 in x_ND.shape:
        raise ArgumentError(name, "at least one row and one column", f"shape {x_ND.shape}")
    if x_ND.dtype.kind not in "fiub":
        raise ArgumentError(name, "numbers", f"dtype {x_ND.dtype}", "Pass floats or integers, no text and no objects.")
    if x_ND.dtype.kind != "f" or x_ND.dtype.itemsize < 4 or not x_ND.dtype.isnative:
        wide = x_ND.dtype.itemsize > 4 or (x_ND.dtype.kind != "f" and x_ND.dtype.itemsize == 4)
        x_ND = x_ND.astype(np.float64 if wide else np.float32)
    for start in range(0, len(x_ND), BLOCK_ROWS):
        bad_N = ~np.isfinite(x_ND[start : start + BLOCK_ROWS]).all(axis=1)
        if bad_N.any():
            first = start + int(np.flatnonzero(bad_N)[0])
            count = int(bad_N.sum()) + sum(
                int((~np.isfinite(x_ND[i : i + BLOCK_ROWS]).all(axis=1)).sum())
                for i in range(start + BLOCK_ROWS, len(x_ND), BLOCK_ROWS)
            )
            raise ArgumentError(
                name,
                "finite numbers",
                f"NaN or infinity in {count} of {len(x_ND)} rows (the first is row {first})",
                "Leave these rows and their labels out, or embed those images again.",
            )
    return x_ND


def labels(name: str, value: Any, rows: int | None = None) -> np.ndarray:
    """`value` as a 1-D int64 array of class numbers, one a row, from 0 on.

    Raises ArgumentError for another shape or length, fractions, text or negative numbers.

    >>> labels("y_N", [0, 2, 1], rows=3)
    array([0, 2, 1])
    """
    y_N = asarray(value)
    if y_N.ndim != 1:
        raise ArgumentError(name, "a 1-D array of class numbers", f"shape {y_N.shape}", "Pass one label per image.")
    if rows is not None and len(y_N) != rows:
        raise ArgumentError(
            name, f"{rows} labels, one a row", f"{len(y_N)}", "Rows and labels must be in the same order."
        )
    if y_N.dtype.kind not in "iub" and not (y_N.dtype.kind == "f" and np.array_equal(y_N, np.floor(y_N))):
        received = "fractions, NaN or infinity" if y_N.dtype.kind == "f" else f"dtype {y_N.dtype}"
        raise ArgumentError(name, "whole numbers", received, "relic_eval.arrays.class_numbers() makes them of names.")
    if len(y_N) and not 0 <= y_N.min() <= y_N.max() < MOST:
        worst = y_N.min() if y_N.min() < 0 else y_N.max()
        raise ArgumentError(name, "class numbers from 0 on, below 2^53", f"{worst}", "Leave unlabelled rows out.")
    return y_N.astype(np.int64, copy=False)


def class_numbers(name: str, value: Any, rows: int | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of any kind (names, numbers) as class numbers and the sorted class names.

    >>> class_numbers("labels", ["cat", "ant", "cat"])
    (array([1, 0, 1]), ('ant', 'cat'))
    """
    if isinstance(value, list | tuple) and len({isinstance(v, str) for v in value if _is_label(v)}) > 1:
        raise ArgumentError(name, "labels that are all text or all numbers", "both", "1 and '1' would be one class.")
    given_N = asarray(value)
    if given_N.ndim != 1 or (rows is not None and len(given_N) != rows):
        expected = "one label a row" if rows is None else f"{rows} labels, one a row"
        raise ArgumentError(name, expected, f"shape {given_N.shape}", "Rows and labels must be in the same order.")
    # numpy would make a text of what is missing in a list of texts
    missing = [
        i for i, v in enumerate(value if isinstance(value, list | tuple) else given_N.tolist()) if _is_missing(v)
    ]
    if missing:
        raise ArgumentError(
            name, "a label for every row", f"none in {len(missing)} rows (the first is row {missing[0]})"
        )
    if given_N.dtype.kind == "f" and np.array_equal(given_N, np.floor(given_N)):
        given_N = given_N.astype(np.int64)
    names, y_N = np.unique(given_N if given_N.dtype.kind in "iub" else given_N.astype(str), return_inverse=True)
    return y_N.astype(np.int64), tuple(str(n) for n in names)


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int | float | np.generic) and not _is_missing(value)


def _is_missing(value: Any) -> bool:
    """None, NaN, an empty text, or pandas' NA, which answers no comparison."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return bool(value == "" or value != value)


def paired(x_ND: np.ndarray, y_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both unchanged, after a check that there is one label a row.

    >>> [a.shape for a in paired(np.zeros((2, 3)), np.array([0, 1]))]
    [(2, 3), (2,)]
    """
    if len(x_ND) != len(y_N):
        turned = (
            "x_ND has as many columns: pass x_ND.T." if x_ND.shape[1] == len(y_N) else "Rows and labels must match."
        )
        raise ArgumentError("y_N", f"{len(x_ND)} labels, one a row", f"{len(y_N)}", turned)
    return x_ND, y_N


def over_classes(name_N: np.ndarray) -> np.ndarray:
    """An order of images that shows many classes early: the first image of each class, then the second of each, and so on.

    >>> over_classes(np.array(["b", "a", "a", "b", "a"])).tolist()
    [1, 0, 2, 3, 4]
    """
    by = np.argsort(name_N, kind="stable")
    turn = np.empty(len(name_N), np.int64)
    turn[by] = np.arange(len(name_N)) - np.searchsorted(name_N[by], name_N[by])
    return np.lexsort((name_N, turn))
