"""What is said of long work: on stderr, seldom, with the time that is left by the speed of this run."""

from __future__ import annotations

import io

import pytest

from relic_eval import progress
from relic_eval.progress import remaining, track


@pytest.fixture
def clock():
    """A clock that stands still until it is told to go on."""

    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


def run(clock, seconds, *args, **options):
    """Work that takes so many seconds an item; returns the items."""
    found = []
    for item in track(*args, clock=clock, **options):
        found.append(item)
        clock.now += seconds
    return found


def test_a_line_at_most_every_half_minute_with_what_is_left(clock, capsys):
    assert run(clock, 2.5, range(500), "pretrain byol", unit="step") == list(range(500))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "pretrain byol: step 12 of 500, about 20 min left"
    assert lines[9] == "pretrain byol: step 120 of 500, about 16 min left"  # 380 steps of 2.5 s
    assert lines[-1] == "pretrain byol: step 492 of 500, about 20 s left"
    assert len(lines) == 1250 // 30


def test_a_run_that_is_taken_up_counts_all_steps_and_its_own_speed(clock, capsys):
    run(clock, 10, range(400, 500), "pretrain byol", unit="step", before=400)
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "pretrain byol: step 403 of 500, about 16 min left"  # 97 steps of 10 s; 3 steps were done in 30 s


def test_slow_items_and_short_work(clock, capsys):
    run(clock, 100, [1, 2], "embed", unit="batch")
    assert capsys.readouterr().err == "embed: batch 1 of 2, about 2 min left\n"
    run(clock, 1, range(20), "embed")
    assert capsys.readouterr().err == ""


def test_work_of_unknown_length_has_no_end_to_guess(clock, capsys):
    run(clock, 20, iter(range(4)), "reading")
    assert capsys.readouterr().err == "reading: 2\n"


def test_quiet_says_nothing(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress, "quiet", True)
    assert run(clock, 100, range(5), "x") == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "10 s"), (84, "80 s"), (89.9, "90 s"), (90, "2 min"), (3569, "59 min"), (3571, "1 h"), (37_000, "10 h")],
)
def test_a_guess_is_no_finer_than_it_can_be(seconds, said):
    assert remaining(seconds) == said


def test_a_bar_on_a_terminal_begins_where_the_run_does(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(range(98, 100), "pretrain byol", before=98)) == [98, 99]
    assert "100/100" in terminal.getvalue()
