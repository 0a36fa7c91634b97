"""The command line as people use it: one line an error, exit codes, npy files, the whole line in small."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import relic_eval

# a shell has its background jobs ignore Ctrl-C, and so would what they start
HEARS = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}


def run(*words, code=0):
    done = subprocess.run([sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    "command", ["quickstart", "pretrain", "saliency", "embed", "evaluate", "report", "leaderboard", "list", "doctor"]
)
def test_help_shows_an_example(command):
    assert f"relic-eval {command}" in run(command, "--help").stdout.split("Example:")[1]


def test_explain_prints_every_setting_with_its_source():
    lines = run("pretrain", "relicv2-imagenet-1000ep", "--set", "tau=0.1", "--explain").stdout.splitlines()
    assert lines[0].split()[:3] == ["setting", "value", "source"]
    rows = {line.split()[0]: line.split() for line in lines[1:]}
    assert rows["tau"][1] == "0.1"
    assert rows["large"][1:3] == ["4", "recalled"]
    assert {"negatives", "p_mask", "invariance_grad", "small_invariance", "sticky", "background"} <= set(rows)
    assert all({"seen", "secondary", "recalled", "chosen", "yours"} & set(row) for row in rows.values())


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["pretrain", "relic2"], 2, "Did you mean 'relicv2'"),
        (["embed", "pixel"], 2, "Did you mean 'pixels'"),
        (["embed", "pixels", "--data", "./nowhere"], 1, "received nothing there"),
        (["evaluate", "--out", "nowhere"], 1, "Run 'relic-eval embed"),
        (["report", "--out", "nowhere"], 1, "quickstart"),
        (["list", "protocol"], 2, "Did you mean 'protocols'"),
        (["quickstrat"], 2, "No such command"),
        (["embed", "x.npy"], 2, "--labels"),
        (["embed", "x.npy", "pixels"], 2, "all .npy files or none, received x.npy and pixels"),
        (["embed", "x.NPY", "old/x.NPY", "--labels", "l.csv"], 2, "both called 'x'"),
        (["embed", "pixels", "random:thin-resnet", "--name", "a"], 2, "expected one encoder, received 2"),
        (["embed", "runs/x"], 1, "received nothing there. 'relic-eval pretrain' makes one"),
        (["embed", "pixels", "--data", "birds"], 2, "a TOML file or a folder of pictures, received 'birds'"),
        (["pretrain", "byol", "--set", "seed=99999999999999999999"], 2, "at most 4294967295"),
        (["pretrain", "byol", "--set", "steps=10000000000"], 2, "at most 100000000"),
        (["pretrain", "byol", "--name", "pixels"], 2, "a name of its own"),
        (
            ["pretrain", "relicv2-imagenet-1000ep"],
            2,
            "expected at most 112: the pictures have 28 pixels a side, received 224",
        ),
        (["quickstart", "--out", "file"], 1, "Not a directory"),
        (["pretrain", "byol", "--out", "file/in"], 1, "Not a directory"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(words, code, text, tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (code, 1), done.stderr
    assert text in done.stderr


def test_the_version_and_a_short_help():
    assert run("--version").stdout == f"relic-eval {relic_eval.__version__}\n"
    assert run("-h").stdout == run("--help").stdout


@pytest.mark.parametrize("place", [0, 1, 3])
def test_quiet_at_any_place_silences_progress_and_no_warning(tmp_path, place):
    x = np.repeat(np.eye(2), 10, 0)
    for name in ("a", "b"):
        relic_eval.save_embeddings(x, np.repeat([0, 1], 10), tmp_path, name=name)
    relic_eval.save_embeddings(x[:4], [0, 0, 1, 1], tmp_path, name="few", dataset="other")
    words = ["evaluate", "--out", str(tmp_path)]
    done = run(*words[:place], "--quiet", *words[place:], code=3)
    assert all(line.startswith("warning: evaluate few other") for line in done.stderr.splitlines())
    assert len(done.stderr.splitlines()) == 7
    assert "12 cells made" in done.stdout


def test_a_board_of_some_encoders_and_tasks(board_folder):
    out = str(board_folder)
    lines = run("leaderboard", "--out", out, "--encoder", "near", "--task", "animals").stdout.splitlines()
    assert [line.split()[0] for line in lines if line] == ["encoder", "near", "Top-1"]
    assert "Did you mean 'near'" in run("leaderboard", "--out", out, "--encoder", "nearr", code=2).stderr
    assert "Did you mean 'animals'" in run("report", "--out", out, "--task", "animal", code=2).stderr


def test_an_unfinished_run_is_embedded_with_a_word(tmp_path):
    words = ["--data", "digits", "--out", str(tmp_path)]
    run("pretrain", "supervised", "--steps", "2", "--set", "checkpoint_every=1", *words)
    place = tmp_path / "pretrain" / "supervised"
    (place / "step-00000002" / "checkpoint.json").unlink()
    done = run("embed", str(place), *words)
    assert "stands at step 1 of 2; these weights are embedded" in done.stderr


def test_two_npy_files_and_a_label_column_get_every_figure(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1, 2], 40)
    for name, spread in (("a", 0.3), ("b", 2.0)):
        np.save(tmp_path / f"{name}.npy", np.eye(3)[y] + rng.normal(0, spread, (120, 3)))
    pd.DataFrame({"kind": np.array(["x", "y", "z"])[y]}).to_csv(tmp_path / "l.csv", index=False)
    out = str(tmp_path / "out")
    files = [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]
    run("embed", *files, "--labels", f"{tmp_path}/l.csv:kind", "--out", out)
    assert "14 cells made" in run("evaluate", "--out", out).stdout
    assert "14 already there" in run("evaluate", "--out", out).stdout
    run("report", "--out", out)
    made = {p.name for p in (tmp_path / "out" / "report").rglob("*") if p.is_file()}
    assert {
        "index.html",
        "leaderboard.svg",
        "neighbour-blocks.svg",
        "discriminability.svg",
        "board.csv",
    } <= made
    assert "kind" not in run("leaderboard", "--out", out, "--csv").stdout
    assert "did you mean" in run("evaluate", "--out", out, "--protocol", "kn", code=2).stderr.lower()


@pytest.mark.parametrize(
    "content", [b"a;b\n1;2\n", b"", "Gr\u00fc\u00dfe\n".encode("latin-1"), b"label\n1,2\n3,4,5\n", b"\x00\xff\x00"]
)
def test_a_label_file_of_another_form_is_one_line(tmp_path, content):
    np.save(tmp_path / "a.npy", np.eye(4))
    (tmp_path / "l.csv").write_bytes(content)
    words = ["embed", str(tmp_path / "a.npy"), "--labels", f"{tmp_path}/l.csv:label", "--out", str(tmp_path / "o")]
    done = subprocess.run([sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "o").exists()


def test_an_interrupted_command_says_so_and_ends_with_130(tmp_path):
    words = [sys.executable, "-m", "relic_eval.cli", "pretrain", "byol", "--data", "digits", "--out", str(tmp_path)]
    with subprocess.Popen(
        [*words, "--set", "checkpoint_every=1"], stderr=subprocess.PIPE, text=True, **HEARS
    ) as process:
        for _ in range(600):
            if list(tmp_path.glob("pretrain/byol/step-*")):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said


def test_an_interrupted_quickstart_starts_nothing_more(tmp_path):
    words = [sys.executable, "-m", "relic_eval.cli", "quickstart", "--out", str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **HEARS) as process:
        for _ in range(1200):
            if list(tmp_path.glob("pretrain/supervised/step-*")):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert printed.count("$ relic-eval") == 1
    assert "interrupted" in said


def test_a_setting_is_given_once(tmp_path):
    words = ["pretrain", "byol", "--data", "digits", "--out", str(tmp_path)]
    assert "steps twice" in run(*words, "--steps", "2", "--set", "steps=3", code=2).stderr
    assert "batch twice" in run(*words, "--set", "batch=8", "--set", "batch=16", code=2).stderr
    assert "each" not in run(*words, "--set", "side=100000", code=2).stderr


def test_settings_are_listed_as_they_are_typed():
    assert "byol.blur = 0.2 (chosen)" in run("list", "settings").stdout.splitlines()


def test_the_file_that_does_not_fit_is_named(tmp_path):
    np.save(tmp_path / "good.npy", np.eye(4))
    np.save(tmp_path / "bad.npy", np.full((4, 2), np.nan))
    np.save(tmp_path / "y.npy", np.arange(4))
    words = [str(tmp_path / "good.npy"), str(tmp_path / "bad.npy"), "--labels", str(tmp_path / "y.npy")]
    assert (
        f"{tmp_path / 'bad.npy'}: expected finite numbers"
        in run("embed", *words, "--out", str(tmp_path), code=2).stderr
    )
    for other in ("pixels", "a.npz"):  # of something that is no .npy file, that it is the file that does not fit
        said = run("embed", other, "--labels", "y.csv", code=2).stderr
        assert f"expected a .npy file beside --labels, received '{other}'. Save embeddings with numpy.save" in said


def test_every_number_is_listed(tmp_path):
    out = str(tmp_path / "o")
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(40, 3)))
    np.save(tmp_path / "y.npy", np.arange(40) % 2)
    assert "results: none" in run("list", "results", "--out", out).stderr
    run("embed", str(tmp_path / "a.npy"), "--labels", str(tmp_path / "y.npy"), "--out", out)
    run("evaluate", "--out", out, "--protocol", "retrieval", "--protocol", "discriminability-fisher")
    lines = run("list", "results", "--out", out).stdout.splitlines()
    assert [line.split()[:4] for line in lines[1:]] == [
        ["a", "mine", "discriminability-fisher", "distance_ratio"],
        ["a", "mine", "discriminability-fisher", "distance_ratio_median"],
        *[["a", "mine", "retrieval", "recall"]] * 2,
        ["a", "mine", "retrieval", "mean_average_precision"],
    ]
    assert "k = 1, left_out = 0" in lines[3]


def test_a_class_may_be_called_na(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(6))
    pd.DataFrame({"label": ["NA", "None", "x"] * 2}).to_csv(tmp_path / "l.csv", index=False)
    run("embed", str(tmp_path / "a.npy"), "--labels", f"{tmp_path}/l.csv", "--out", str(tmp_path / "o"))
    (store,) = (tmp_path / "o").glob("embeddings/*/*/all.*")
    assert relic_eval.load(store).classes == ("NA", "None", "x")


def test_numbers_beyond_float32_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(4) * 1e300)
    np.save(tmp_path / "y.npy", np.arange(4))
    words = ["embed", str(tmp_path / "a.npy"), "--labels", str(tmp_path / "y.npy"), "--out", str(tmp_path / "o")]
    assert "NaN or infinity in 4 of 4 rows" in run(*words, code=2).stderr


def test_the_quickstart_ends_with_the_code_of_what_failed_in_it(tmp_path, monkeypatch):
    from relic_eval import cli
    from relic_eval.outcome import Outcome

    monkeypatch.setattr("relic_eval.run.evaluate", lambda *a, **k: Outcome(failed=2))
    monkeypatch.setattr("relic_eval.encode.find_encoders", lambda *a: [])
    monkeypatch.setattr("relic_eval.encode.embed", lambda *a, **k: [])
    monkeypatch.setattr("reports.write.write_report", lambda *a, **k: "page")
    monkeypatch.setattr("relic_eval.training.train", lambda *a, **k: tmp_path)
    assert cli.app(["quickstart", "--out", str(tmp_path), "--steps", "1"], standalone_mode=False) == 3


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(tmp_path):
    out = str(tmp_path / "o")
    words = ["--out", out, "--steps", "2", "--data", "digits", "--set", "batch=32", "--set", "checkpoint_every=1"]
    code = (  # the disk is full from the second step on
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from pretrain import train; loss = train.refuse_nan;"
        "full = lambda terms, step, out: (step == 1 and resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1)), loss(terms, step, out));"
        "train.refuse_nan = full; from relic_eval.cli import main; main()"
    )
    more = [sys.executable, "-c", code, "pretrain", "supervised", *words]
    done = subprocess.run(more, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "o").rglob("*.tmp"))
    steps = tmp_path / "o" / "pretrain" / "supervised"
    assert [p.name for p in steps.glob("step-*")] == ["step-00000001"]
    run("pretrain", "supervised", *words)
    assert sorted(p.name for p in steps.glob("step-*")) == ["step-00000001", "step-00000002"]


def test_a_failed_cell_is_named_and_the_others_are_made(tmp_path):
    x = np.eye(2)[np.repeat([0, 1], 30)]
    x[0] = 0
    relic_eval.save_embeddings(x, np.repeat([0, 1], 30), tmp_path, name="mine")
    done = run("evaluate", "--out", str(tmp_path), code=3)
    assert "6 cells made, 0 already there, 1 cell failed\nfailed: mine on mine, " in done.stdout
    assert f"all reasons: {tmp_path / 'failures'}" in done.stdout
    assert "no row of zeros" in done.stderr


def test_a_comparison_shows_itself(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1, 2], 40)
    a, b = (pd.DataFrame(np.eye(3)[y] + rng.normal(0, s, (120, 3))) for s in (0.3, 2.0))
    both = relic_eval.compare(a, b, pd.Series(y), out=tmp_path)
    assert both.board.rows[0].encoder == "a"
    assert "<table" in both._repr_html_()
    assert set(both.figures()) >= {"leaderboard", "change", "neighbour-blocks", "discriminability"}
    assert both.report().exists()
    assert set(both.table["encoder"]) == {"a", "b"}


def test_the_quickstart_in_small_twice(tmp_path):
    out = str(tmp_path / "run")
    first = run("quickstart", "--steps", "2", "--out", out)
    assert first.stdout.count("$ relic-eval") == 7
    page = (tmp_path / "run" / "report" / "index.html").read_bytes()
    code = (
        "import sys; from relic_eval.cli import app; app(['quickstart', '--steps', '2', '--out', sys.argv[1]], standalone_mode=False);"
        "print('heavy:', [m for m in ('torch', 'pandas', 'sklearn', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    second = subprocess.run([sys.executable, "-c", code, out], capture_output=True, text=True, check=True)
    assert "heavy: []" in second.stdout
    assert "0 cells made, 110 already there" in second.stdout
    assert (tmp_path / "run" / "report" / "index.html").read_bytes() == page
