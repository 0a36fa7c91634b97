"""Pickles of strangers: plain data is read as it was, nothing else is, and nothing of it ever runs."""

from __future__ import annotations

import collections
import copyreg
import importlib.util
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import types

import numpy as np
import pytest

from relic_eval.encoders.unpickle import read_pickle
from relic_eval.errors import DataError

TEN_TB = 10 * 2**40


class Call:
    """Pickled, it is a call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def named(name):
    """The opcodes that put module.name on the stack."""
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def text(string):
    return b"X" + struct.pack("<I", len(string.encode())) + string.encode()


def short(string):
    return b"\x8c" + bytes([len(string)]) + string.encode()


def called(function, *args):
    return b"\x80\x02" + named(function) + b"(" + b"".join(args) + b"tR."


def array(state, *, kind=b"cnumpy\nndarray\n"):
    """An array by `_reconstruct`, with this state as opcodes."""
    return b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n" + kind + b"K\x00\x85C\x01b\x87R(" + state + b"tb."


FLOAT = b"cnumpy\ndtype\n" + text("f4") + b"\x89\x88\x87R"
OBJECT = b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R"


def marker(folder):
    return folder / "it-ran"


def runs(command):
    """Name -> pickle that runs a shell command where it is unpickled, one way or another."""
    words, code = text(command), text(f"__import__('os').system({command!r})")
    ways = {f"os.system, protocol {p}": pickle.dumps(Call(os.system, command), p) for p in range(6)}
    ways |= {f"nested, protocol {p}": pickle.dumps({"w": [(Call(os.system, command),)]}, p) for p in (2, 4)}
    ways |= {
        "posix.system": called("posix.system", words),
        "nt.system": called("nt.system", words),
        "builtins.eval": called("builtins.eval", code),
        "builtins.exec": called("builtins.exec", code),
        "__builtin__.eval": called("__builtin__.eval", code),
        "subprocess.Popen": pickle.dumps(Call(subprocess.Popen, ["sh", "-c", command])),
        "subprocess.check_output": pickle.dumps(Call(subprocess.check_output, ["sh", "-c", command])),
        "pty.spawn": called("pty.spawn", words),
        "runpy._run_code": called("runpy._run_code", code),
        "builtins.getattr": b"\x80\x02cbuiltins\ngetattr\n(cbuiltins\n__import__\n(" + text("os") + b"tR" + text("system") + b"tR(" + words + b"tR.",
        "importlib.import_module": called("importlib.import_module", text("os")),
        "operator.methodcaller": called("operator.methodcaller", text("system"), words),
        "functools.partial": called("functools.partial", named("os.system"), words),
        "codecs.decode": called("codecs.decode", words, text("rot13")),
        "_codecs.encode": called("_codecs.encode", words, text("idna")),
        "dill._dill._load_type": called("dill._dill._load_type", text("CodeType")),
        "dill._dill._create_function": called("dill._dill._create_function", code),
        "dill._dill._import_module": called("dill._dill._import_module", text("os")),
        "numpy.load": called("numpy.load", words),
        "numpy.testing._private.utils.runstring": called("numpy.testing._private.utils.runstring", code, b"}"),
        "numpy.f2py.crackfortran.myeval": called("numpy.f2py.crackfortran.myeval", code),
        "numpy.core.multiarray.fromfile": called("numpy.core.multiarray.fromfile", words),
        "jax.numpy.load": called("jax.numpy.load", words),
        "torch.load": called("torch.load", words),
        "pickle.loads": called("pickle.loads", words),
        "INST": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nX" + words[1:] + b"o.",
        "STACK_GLOBAL": b"\x80\x04" + short("os") + short("system") + b"\x93" + words + b"\x85R.",
        "memoised": b"\x80\x04" + short("system") + b"\x94" + short("os") + b"\x940h\x01h\x00\x93" + words + b"\x85R.",
        "got from the memo": b"\x80\x04" + short("system") + b"\x94" + short("os") + b"\x94h\x01h\x00\x93" + words + b"\x85R.",
        "dots": b"\x80\x04" + short("numpy") + short("ndarray.__class__.__subclasses__") + b"\x93)R.",
        "dots in a known package": b"\x80\x04" + short("byol.utils") + short("os.system") + b"\x93" + words + b"\x85R.",
        "reconstruct of jax": called("jax._src.array._reconstruct_array", named("os.system"), b"(" + words + b"t", b"}", b"}"),
        "array of dill": called("dill._dill._create_array", named("os.system"), b"(" + words + b"t", b"}"),
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n" + words + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + short("subprocess") + short("Popen") + b"\x93" + words + b"\x85}\x92.",
        "BUILD of a class": b"\x80\x02cnumpy\ndtype\nN}" + text("__new__") + named("os.system") + b"s\x86b.",
        "BUILD of a record": b"\x80\x02cbyol.byol_experiment\n_ByolExperimentState\n)\x81N}" + text("fields") + named("os.system") + b"s\x86b.",
        "persistent id": b"\x80\x02" + words + b"Q.",
        "persistent id as text": b"P" + command.encode() + b"\n.",
        "a buffer outside": b"\x80\x05\x97.",
        "a set": b"\x80\x04\x8f.",
        "bytes of Python 2": b"U\x02os.",
        "objects": array(b"K\x01K\x01\x85" + OBJECT + b"\x89]" + named("os.system") + b"a"),
        "objects without a list": array(b"K\x01K\x01\x85" + OBJECT + b"\x89C\x0812345678"),
        "a list for bytes": array(b"K\x01K\x01\x85" + FLOAT + b"\x89]" + named("os.system") + b"a"),
        "an array of another kind": array(b"K\x01K\x00\x85" + FLOAT + b"\x89C\x00", kind=named("os.system")),
        "fields in a dtype": called("numpy.dtype", text("V8"), b"\x89\x88"),
        "a dtype with notes": b"\x80\x03" + FLOAT + b"(K\x04" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00}tb.",
        "a dtype by a comma": called("numpy.dtype", text("f4,O"), b"\x89\x88"),
    }  # fmt: skip
    return ways


NAMES = list(runs("true"))


@pytest.mark.parametrize("way", NAMES)
def test_nothing_runs_and_the_error_names_what_was_refused(way, tmp_path):
    place, proof = tmp_path / "hostile.pkl", marker(tmp_path)
    place.write_bytes(runs(f"touch {proof}")[way])
    modules = set(sys.modules)
    with pytest.raises(DataError) as caught:
        read_pickle(place)
    message = str(caught.value)
    assert not proof.exists()
    assert not {
        m for m in set(sys.modules) - modules if m.split(".")[0] in ("byol", "dill", "jax", "pty", "runpy", "nt")
    }
    assert "\n" not in message
    assert message.startswith(f"{place}: expected a pickle of arrays and dictionaries alone, received ")
    assert message.endswith("ask for one that has that form.")
    assert "damaged" not in message, "it is refused for what it is, not because it happens to break"
    expected = {
        "os.system": "'posix.system'",
        "nested": "'posix.system'",
        "INST": "opcode",
        "OBJ": "opcode",
        "persistent": "PERSID",
    }
    for start, word in expected.items():
        assert not way.startswith(start) or word in message
    if way.rpartition(".")[0] in ("builtins", "__builtin__", "subprocess", "pickle", "numpy", "torch", "importlib"):
        assert f"'{way}'" in message or "numpy.dtype" in way


@pytest.mark.parametrize(
    "way", ["os.system, protocol 0", "os.system, protocol 5", "INST", "STACK_GLOBAL", "builtins.getattr"]
)
def test_the_same_pickles_run_where_they_are_believed(way, tmp_path):
    """Else the test above would prove nothing."""
    pickle.loads(runs(f"touch {marker(tmp_path)}")[way])
    assert marker(tmp_path).exists()


def test_a_record_of_the_official_packages_is_never_looked_up(tmp_path, monkeypatch):
    """Even where such a module is there: a name in it is a container of ours and nothing else."""
    module = types.ModuleType("byol")
    module.system = os.system
    monkeypatch.setitem(sys.modules, "byol", module)
    (tmp_path / "a.pkl").write_bytes(called("byol.system", text(f"touch {marker(tmp_path)}")))
    assert read_pickle(tmp_path / "a.pkl").fields == {"0": f"touch {marker(tmp_path)}"}
    assert not marker(tmp_path).exists()


@pytest.mark.parametrize("code", [b"\x82\xf0", b"\x83\xf0\x00", b"\x84\xf0\x00\x00\x00"])
def test_the_extension_registry_is_not_asked(code, tmp_path):
    copyreg.add_extension("posix", "system", 240)
    try:
        hostile = b"\x80\x02" + code + b"(" + text(f"touch {marker(tmp_path)}") + b"tR."
        pickle.loads(hostile)  # what is found once stays in a cache that no find_class guards
        assert marker(tmp_path).exists()
        marker(tmp_path).unlink()
        (tmp_path / "a.pkl").write_bytes(hostile)
        with pytest.raises(DataError, match=r"the opcode EXT\d at byte 2"):
            read_pickle(tmp_path / "a.pkl")
        assert not marker(tmp_path).exists()
    finally:
        copyreg.remove_extension("posix", "system", 240)
        copyreg.clear_extension_cache()


def long(number):
    return b"\x8a\x08" + number.to_bytes(8, "little")


LARGE = {
    "bytes": (b"\x80\x04\x8e" + TEN_TB.to_bytes(8, "little") + b"abc.", "damaged"),
    "text": (b"\x80\x04\x8d" + TEN_TB.to_bytes(8, "little") + b"abc.", "damaged"),
    "a bytearray": (b"\x80\x05\x96" + TEN_TB.to_bytes(8, "little") + b"abc.", "damaged"),
    "a whole number": (b"\x80\x02\x8b\xff\xff\xff\x7f1.", "damaged"),
    "a frame": (b"\x80\x04\x95" + TEN_TB.to_bytes(8, "little") + b"N.", "a frame of 10,995,116,277,760 bytes"),
    "a place in the memo": (b"\x80\x02Nr\xff\xff\xff\x7f.", "counts to 2,147,483,647 after 2 steps"),
    "a place in the memo as text": (b"Np2147483647\n.", "counts to 2,147,483,647 after 1 steps"),
    "an array": (array(b"K\x01" + long(TEN_TB) + b"\x85" + FLOAT + b"\x89C\x041234"), "an array of 43,980,465,111,040 bytes of which 4 are there"),
    "an array of many axes": (array(b"K\x01(" + long(2**40) * 7 + b"t" + FLOAT + b"\x89C\x041234"), "of which 4 are there"),
    "a negative shape": (array(b"K\x01J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86" + FLOAT + b"\x89C\x041234"), r"an array of shape \(-1, -1\)"),
    "numpy.ndarray": (called("numpy.ndarray", long(TEN_TB) + b"\x85"), "calls numpy.ndarray"),
    "numpy.zeros": (called("numpy.zeros", long(TEN_TB)), "'numpy.zeros'"),
    "a shape for _reconstruct": (b"\x80\x03cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + long(TEN_TB) + b"\x85C\x01b\x87R.", None),
    "_frombuffer": (called("numpy._core.numeric._frombuffer", b"B\x04\x00\x00\x001234", FLOAT, long(TEN_TB) + b"\x85", text("C")), "of which 4 are there"),
    "bytes()": (called("builtins.bytes", long(TEN_TB)), "damaged"),
    "bytearray()": (called("builtins.bytearray", long(TEN_TB)), "'builtins.bytearray'"),
    "range": (called("builtins.list", called("builtins.range", long(TEN_TB))[2:-1]), "'builtins.list'"),
    "one text many times": (b"\x80\x02" + text("a" * 100_000) + b"q\x00(" + (named("_codecs.encode") + b"h\x00" + text("latin1") + b"\x86R") * 10_000 + b"t.", None),
    "one dictionary many times": (b"\x80\x02}q\x00(" + b"".join(text(str(n)) + b"N" for n in range(5_000)) + b"u(" + b"chaiku._src.data_structures\nFlatMapping\nh\x00\x85R" * 5_000 + b"t\x86.", None),
    "a wide record": (b"\x80\x02cbyol.a\nB\n(" + b"N" * 1000 + b"t\x81.", "a record of 1000 fields"),
    "a deep tuple as a key": (b"\x80\x02})" + b"\x85" * 300_000 + b"Ns.", "more than 100 tuples within tuples"),
    "a deep tuple through the memo": (b"\x80\x02})" + b"\x85q\x00h\x00N\x86" * 100_000 + b"Ns.", "more than 100 tuples within tuples"),
}  # fmt: skip


@pytest.mark.parametrize("what", LARGE)
def test_memory_is_bounded_by_the_file(what, tmp_path):
    content, message = LARGE[what]
    (tmp_path / "large.pkl").write_bytes(content)
    tracemalloc.start()
    try:
        if message is None:  # it is read, at no such price
            read_pickle(tmp_path / "large.pkl")
        else:
            with pytest.raises(DataError, match=message) as caught:
                read_pickle(tmp_path / "large.pkl")
            assert "\n" not in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000 + 100 * len(content)
    finally:
        tracemalloc.stop()


def test_endless_steps_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("relic_eval.encoders.pickled.STEPS", 1000)
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02](" + b"N" * 2000 + b"e.")
    with pytest.raises(DataError, match="one of more than 1,000 steps"):
        read_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    "content",
    [b"", b".", b"\x80\x02", b"\x80\x7fN.", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"N\n", b"\x80\x02tN.", b"\x80\x02h\x05.", b"\x80\x02K\x01K\x02s."],
)  # fmt: skip
def test_what_is_no_pickle_is_one_error(content, tmp_path):
    (tmp_path / "no.pkl").write_bytes(content)
    with pytest.raises(
        DataError, match=r"no\.pkl: expected a pickle of arrays and dictionaries alone, received"
    ) as caught:
        read_pickle(tmp_path / "no.pkl")
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_file_is_an_error(tmp_path):
    whole = pickle.dumps({"a": np.arange(3, dtype=np.float32), "b": [1, "two"]}, 2)
    for length in range(len(whole)):
        (tmp_path / "cut.pkl").write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_pickle(tmp_path / "cut.pkl")


def outcome(place):
    try:
        read_pickle(place)
    except DataError as error:
        return str(error)
    return "read"


def test_random_damage_is_an_error_or_plain_data(tmp_path):
    whole = bytearray(pickle.dumps({"a": np.arange(3, dtype=np.float32), "b": [1, "two"]}, 2))
    rng, outcomes = np.random.default_rng(0), []
    for _ in range(400):
        damaged = whole.copy()
        damaged[rng.integers(len(whole))] = rng.integers(256)
        (tmp_path / "a.pkl").write_bytes(damaged)
        outcomes.append(outcome(tmp_path / "a.pkl"))
    assert 0 < outcomes.count("read") < 400
    assert not any("\n" in text for text in outcomes)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match="received nothing there"):
        read_pickle(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="received a folder there"):
        read_pickle(tmp_path)


ARRAYS = {
    "f2": np.arange(6, dtype=np.float16),
    "f4": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">f8"),
    "i4": np.arange(-3, 3, dtype=np.int32),
    "u8": np.arange(3, dtype=np.uint64),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
    "no axes": np.array(3.5),
    "high bytes": np.arange(256, dtype=np.uint8),
    "a view": np.arange(10.0)[::2],
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_is_read_as_it_was(protocol, tmp_path):
    content = {
        "arrays": ARRAYS,
        "scalar": np.float32(2.5),
        "plain": [1, -(2**70), 2.5, "\u00e9\n", None, True, (1, (2, 3)), {"a": {}}],
        "ordered": collections.OrderedDict(b=1, a=2),
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
    read = read_pickle(tmp_path / "a.pkl")
    assert list(read) == list(content)
    assert read["plain"] == content["plain"]
    assert list(read["ordered"].items()) == [("b", 1), ("a", 2)]
    assert read["scalar"].numpy() == np.float32(2.5)
    for name, expected in ARRAYS.items():
        found = read["arrays"][name].numpy()
        assert found.dtype == expected.dtype, name
        np.testing.assert_array_equal(found, expected, err_msg=name)


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax makes the arrays")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_arrays_of_jax_are_read_without_jax(dtype, tmp_path):
    """Of jax as it is today, and by the name that its arrays had in 2022; bfloat16 becomes float32."""
    place = tmp_path / "a.pkl"
    python(
        f"import jax, pickle; pickle.dump({{'a': jax.numpy.arange(5, dtype={dtype!r}) / 4}}, open({str(place)!r}, 'wb'), 2)"
    )
    new, old = b"jax._src.array\n_reconstruct_array", b"jax._src.device_array\nreconstruct_device_array"
    assert new in place.read_bytes()
    for content in (place.read_bytes(), place.read_bytes().replace(new, old)):
        place.write_bytes(content)
        array = read_pickle(place)["a"].numpy()
        assert array.dtype == np.float32
        assert array.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_reading_imports_neither_torch_nor_jax():
    heavy = "('torch', 'jax', 'haiku', 'dill', 'ml_dtypes')"
    assert python(f"import relic_eval.encoders.convert, sys; print([m for m in {heavy} if m in sys.modules])") == "[]"


@pytest.mark.parametrize("name", ["FlatMapping", "frozendict"])
def test_mappings_of_haiku_are_dictionaries(name, tmp_path):
    content = b"\x80\x02chaiku._src.data_structures\n" + name.encode() + b"\n}" + text("a") + b"K\x01s\x85R."
    (tmp_path / "a.pkl").write_bytes(content)
    assert read_pickle(tmp_path / "a.pkl") == {"a": 1}


def test_records_of_the_official_code_are_containers(tmp_path):
    official = (
        b"\x80\x02cbyol.byol_experiment\n_ByolExperimentState\n(" + b"".join(b"K%c" % n for n in range(5)) + b"t\x81."
    )
    (tmp_path / "a.pkl").write_bytes(official)
    assert read_pickle(tmp_path / "a.pkl").fields == {
        "online_params": 0,
        "target_params": 1,
        "online_state": 2,
        "target_state": 3,
        "opt_state": 4,
    }
    built = b"\x80\x02crelicv2.experiment\nState\n)\x81}" + text("online_params") + b"K\x01sb."
    (tmp_path / "b.pkl").write_bytes(built)
    assert read_pickle(tmp_path / "b.pkl").fields == {"online_params": 1}


def test_reading_leaves_no_trace_in_what_names_stand_for(tmp_path):
    """A pickle that sets attributes of a class would change how the next one is read."""
    for module, name in (
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("byol.a", "B"),
        ("_codecs", "encode"),
    ):
        content = b"\x80\x02" + named(f"{module}.{name}") + b"N}" + text("__doc__") + b"K\x01s\x86b."
        (tmp_path / "a.pkl").write_bytes(content)
        with pytest.raises(DataError, match="one that sets attributes of"):
            read_pickle(tmp_path / "a.pkl")
