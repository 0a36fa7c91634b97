"""Results put together: nothing lost, nothing overwritten, conflicts named before anything is written; grids divided."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relic_eval.board import board_table, read_board, read_costs
from relic_eval.cells import cell_path, read_failures, write_failure
from relic_eval.errors import ArgumentError, DataError
from relic_eval.intake import import_arrays
from relic_eval.merging import Merged, merge
from relic_eval.results import read_results
from relic_eval.run import evaluate
from relic_eval.sharding import parse_shard, shard
from relic_eval.store import find_stores, in_use
from reports.write import write_report

PROTOCOLS = ("linear-byol", "knn")


def machine(out, *names, seed=0, protocols=PROTOCOLS, dataset="toy", noise=1.0):
    """A folder of results of encoders of one set; the same name and seed are the same embeddings."""
    y = np.repeat(["cat", "dog"], 40)
    for name in names:
        rng = np.random.default_rng([seed, sum(name.encode())])
        x = 2 * (y == "dog")[:, None] + rng.normal(0, noise, (80, 3))
        ids = [f"{dataset}/{i}" for i in range(80)]
        import_arrays(out, name, dataset, x.astype("f"), y, ids=ids)
    assert evaluate(out, protocols=protocols).failed == 0
    return out


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("machines")
    return machine(out / "one", "a", "b"), machine(out / "two", "c")


@pytest.fixture
def two(made, tmp_path):
    return tuple(shutil.copytree(folder, tmp_path / folder.name) for folder in made)


def test_the_board_of_merged_results_is_that_of_one_machine(two, tmp_path):
    before = [files(folder) for folder in two]
    out = tmp_path / "out"
    assert merge(two, out) == Merged(6, 0, 3, ())
    assert [files(folder) for folder in two] == before
    whole = machine(tmp_path / "whole", "a", "b", "c")
    assert board_table(read_board(out)[0]) == board_table(read_board(whole)[0])
    assert read_costs(out) == read_costs(whole)
    assert not list(out.glob("embeddings/*/*/*/part-*"))
    page = write_report(out)
    assert page.read_text().count("data-row") == 3
    assert evaluate(out, protocols=PROTOCOLS).skipped == 6


def test_merging_again_and_into_a_source_changes_nothing(two, tmp_path):
    out = tmp_path / "out"
    merge(two, out)
    before = files(out)
    assert merge([*two, out], out) == Merged(0, 6, 0, ())
    assert files(out) == before
    one = files(two[0])
    assert merge(two[1:], two[0]) == Merged(2, 4, 1, ())
    assert one.items() <= files(two[0]).items()
    assert len(read_results(two[0])) == 6


def test_the_same_cell_of_two_machines_is_kept_once(tmp_path):
    folders = [machine(tmp_path / n, "a", protocols=p) for n, p in (("x", ("knn",)), ("y", PROTOCOLS))]
    assert merge(folders, tmp_path / "out") == Merged(2, 0, 1, ())


def test_a_conflict_names_both_and_writes_nothing(tmp_path):
    one, two = machine(tmp_path / "one", "a"), machine(tmp_path / "two", "a", seed=1)
    with pytest.raises(DataError, match=r"a toy \w+: expected the same embeddings in both folders") as error:
        merge([one, two], tmp_path / "out")
    assert str(one) in str(error.value)
    assert str(two) in str(error.value)
    assert not (tmp_path / "out").exists()
    shutil.rmtree(one / "embeddings")
    shutil.rmtree(two / "embeddings")
    with pytest.raises(DataError, match=r"a toy (knn|linear-byol): expected the same cell in both folders"):
        merge([one, two], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    before = files(one)
    with pytest.raises(DataError, match="expected the same cell"):
        merge([two], one)
    assert files(one) == before


def test_newer_damaged_and_outdated_cells_are_left_and_named(two, tmp_path, capsys):
    one = two[0]
    newer = cell_path(one, "a", "toy", "knn") / "cell.json"
    newer.write_text(json.dumps(json.loads(newer.read_text()) | {"format": 99}))
    damaged = cell_path(one, "b", "toy", "knn") / "rows.parquet"
    damaged.write_bytes(b"PAR1")
    y = np.repeat(["cat", "dog"], 40)
    import_arrays(
        one, "b", "toy", np.random.default_rng(9).normal(0, 1, (80, 3)), y
    )  # its linear probe is of those before
    done = merge(two, tmp_path / "out")
    assert (done.cells, done.stores) == (3, 3)
    said = capsys.readouterr().err
    for part in ("a/toy/knn", "b/toy/knn", "b/toy/linear-byol"):
        assert any(part in line for line in done.left), part
        assert part in said
    assert any("made by a newer relic-eval" in line for line in done.left)
    names = {(r.encoder, r.protocol) for r in read_results(tmp_path / "out")}
    assert names == {("a", "linear-byol"), ("c", "knn"), ("c", "linear-byol")}


def test_what_stands_in_the_way_is_not_overwritten(two, tmp_path):
    out = tmp_path / "out"
    newer = cell_path(out, "a", "toy", "knn")
    newer.mkdir(parents=True)
    (newer / "cell.json").write_text('{"format": 99}')
    done = merge(two, out)
    assert done.cells == 5
    assert any("is there already" in line for line in done.left)
    assert (newer / "cell.json").read_text() == '{"format": 99}'


def test_a_failure_is_noted_only_where_nobody_has_the_cell(two, tmp_path):
    one = two[0]
    machine(one, "c", protocols=("knn",))
    shutil.rmtree(cell_path(one, "c", "toy", "knn"))
    write_failure(one, "c", "toy", "knn", "no memory.")
    write_failure(one, "a", "toy", "ridge", "no memory either.")
    out = tmp_path / "out"
    merge(two, out)
    assert [f["protocol"] for f in read_board(out)[2]] == ["ridge"]
    assert {r.protocol for r in read_results(out) if r.encoder == "c"} == set(PROTOCOLS)


def test_a_failed_embed_is_noted_only_where_nobody_embedded_that_set(two, tmp_path):
    one, other = two
    write_failure(one, "c", "toy", "embed", "no memory.")  # the other machine embedded it
    write_failure(one, "a", "toy", "embed", "no memory for its corruptions.")  # nobody else has it
    write_failure(one, "c", "more", "embed", "no such set.")  # of this set nothing is there
    for sources in ((one, other), (other, one)):
        out = tmp_path / sources[0].name / "out"
        merge(sources, out)
        assert {(f["encoder"], f["task"]) for f in read_failures(out)} == {("a", "toy"), ("c", "more")}
    merge([other], one)
    assert {(f["encoder"], f["task"]) for f in read_failures(one)} == {("a", "toy"), ("c", "more")}


def test_a_source_that_points_elsewhere_writes_nothing_outside(two, tmp_path):
    current = next(two[0].glob("embeddings/a/toy/current.json"))
    split = next(iter(json.loads(current.read_text())))
    (tmp_path / "one" / "secret").mkdir()
    (tmp_path / "one" / "secret" / "manifest.json").write_text("{}")
    current.write_text(json.dumps({split: "../../../secret"}))
    done = merge(two, tmp_path / "out")
    assert any("another place" in line for line in done.left)
    assert ("a", "toy") not in in_use(tmp_path / "out")
    assert len(find_stores(tmp_path / "out")) == 2


def test_what_is_no_folder_of_results_is_an_error(tmp_path):
    with pytest.raises(ArgumentError, match="at least one folder"):
        merge([], tmp_path / "out")
    with pytest.raises(DataError, match="expected a folder of results"):
        merge([tmp_path / "nothing"], tmp_path / "out")


GRID = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "y", "z"])), max_size=30)


@given(pairs=GRID, count=st.integers(1, 9))
def test_shards_divide_a_grid_without_rest_or_overlap(pairs, count):
    parts = [shard(pairs, i, count) for i in range(1, count + 1)]
    assert sorted(itertools.chain(*parts)) == sorted(set(pairs))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [sorted(shard(pairs[::-1], i, count)) for i in range(1, count + 1)] == [sorted(p) for p in parts]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", ""])
def test_what_is_no_shard(text):
    with pytest.raises(ArgumentError, match="--shard: expected I/N"):
        parse_shard(text)
