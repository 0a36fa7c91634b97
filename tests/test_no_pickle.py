"""Nothing that could run a stranger's code is called anywhere; the reader of official checkpoints is the one exception."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXCEPTION = "relic_eval/encoders/unpickle.py"  # an unpickler to which no name means anything that is not ours
FILES = sorted(
    f for package in ("relic_eval", "pretrain", "reports", "benchmarks") for f in (ROOT / package).rglob("*.py")
)
PICKLES = ("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")
READERS = {"load", "loads", "Unpickler", "_Unpickler", "open"}
RUNNERS = {"eval", "exec", "compile", "__import__"}


def findings(code: str) -> list[str]:
    """What is forbidden in a module, as 'line: what'."""
    found, tree = [], ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PICKLES:
            found += [f"{node.lineno}: {node.module}.{a.name}" for a in node.names if a.name in READERS | {"*"}]
        elif isinstance(node, ast.Import):
            found += [f"{node.lineno}: {a.name} as {a.asname}" for a in node.names if a.name in PICKLES and a.asname]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in PICKLES and node.attr in READERS:
                found.append(f"{node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.Call):
            found += [f"{node.lineno}: {what}" for what in called(node)]
    return found


def called(node: ast.Call) -> list[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
    settings = {k.arg: k.value for k in node.keywords}
    found = [name] if name in RUNNERS else []
    for setting, safe in (("allow_pickle", False), ("weights_only", True)):
        value = settings.get(setting)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is safe):
            found.append(f"{setting}={ast.unparse(value)}")
    if owner == "yaml" and attribute.startswith(("load", "unsafe_load", "full_load")):
        found.append(f"yaml.{attribute}")
    if attribute in ("extractall", "extract") and "filter" not in settings and "zip" not in owner.lower():
        found.append(f"{attribute} without filter")
    if attribute == "read_pickle" or ((owner, attribute) == ("torch", "load") and "weights_only" not in settings):
        found.append(f"{owner}.{attribute}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_nothing_that_runs_what_it_reads_is_called(file):
    found = findings(file.read_text())
    if str(file.relative_to(ROOT)) == EXCEPTION:
        assert [what.split(": ")[1] for what in found] == ["pickle.Unpickler"]
    else:
        assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.load(f)",
        "import pickle\npickle.loads(b)",
        "import pickle\nclass A(pickle.Unpickler): pass",
        "import pickle as p",
        "from pickle import loads",
        "from pickle import Unpickler as U",
        "import dill\ndill.load(f)",
        "import joblib\njoblib.load(f)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=maybe)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "torch.hub.load_state_dict_from_url(u, weights_only=False)",
        "pd.read_pickle(f)",
        "yaml.load(f)",
        "yaml.load_all(f)",
        "yaml.unsafe_load(f)",
        "eval(text)",
        "exec(text)",
        "tar.extractall(place)",
        "tar.extract(member, place)",
    ],
)
def test_each_of_these_is_found(code):
    assert len(findings(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.dumps(x)",
        "np.load(f, allow_pickle=False)",
        "torch.load(f, weights_only=True)",
        "yaml.safe_load(f)",
        "network.eval()",
        "tar.extractall(place, filter='data')",
        "json.load(f)",
    ],
)
def test_none_of_these_is(code):
    assert findings(code) == []


def test_all_packages_are_looked_at():
    assert {f.relative_to(ROOT).parts[0] for f in FILES} == {"relic_eval", "pretrain", "reports", "benchmarks"}
