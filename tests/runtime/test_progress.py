"""Progress in a log: lines without escape codes, one for a whole however many bars are within it."""

import itertools

from fairprof.runtime import progress
from fairprof.runtime.progress import begun, conclude, note, progress_bar, whole


def test_a_whole_says_a_line_when_a_part_has_ended_and_bars_within_it_say_nothing(capfd):
    with whole("study", {"a": 1, "b": 2, "c": 1}, "runs") as line:
        for part in "abc":
            begun(part)
            with progress_bar("training", 3, "steps") as bar:
                for _ in range(3):
                    bar.update()
            note(f"{part} has ended")
            line.ended(part)
        line.ended("a")  # once more, as another process tells it
    said = capfd.readouterr()
    assert said.out == "".join(f"fairprof: {part} has ended\n" for part in "abc")
    lines = said.err.splitlines()
    assert [each.partition("| ")[2].partition(" [")[0] for each in lines] == ["1/3 runs", "2/3 runs", "3/3 runs"]
    assert all(each.startswith("study: ") for each in lines) and "\x1b" not in said.err and "" not in lines
    assert "left" not in lines[-1]


def test_the_time_left_is_that_of_the_weights_left(capfd, monkeypatch):
    clock = itertools.chain([0.0], itertools.repeat(100.0))  # the first part takes 100 seconds
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with whole("study", {"small": 1, "large": 3}, "runs") as line:
        line.ended("small")
    assert "about 05:00 left" in capfd.readouterr().err


def test_what_comes_of_it_is_said_without_a_blank_line_in_a_log(capfd):
    conclude(("the answer", "run: http://127.0.0.1"))
    assert capfd.readouterr().out == "the answer\nrun: http://127.0.0.1\n"
