"""What `--help` says of every command."""

import shlex

import pytest

from fairprof.config import StudySettings
from fairprof.documents.settings import ENTRY_POINTS
from fairprof.documents.usage import EXAMPLES, usage


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_every_setting_stands_in_one_group_once(entry_point, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    settings = ENTRY_POINTS[entry_point]
    lines = usage(settings).splitlines()
    named = [
        line.split("=")[0].strip() for line in lines if line.startswith("  ") and line[2:3].isalpha() and "=" in line
    ]
    assert sorted(set(named) & set(settings.model_fields)) == sorted(settings.model_fields)
    assert len([name for name in named if name in settings.model_fields]) == len(settings.model_fields)
    assert max(map(len, lines)) <= 100


def test_what_is_used_most_comes_first():
    text = usage(StudySettings)
    assert text.index("Examples:") < text.index("Used most:") < text.index("  experiments=A,B,C,D")
    assert text.index("  seeds=6") < text.index("Where and how it runs:") < text.index("  cache_gib=")


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_examples_name_settings_that_exist(entry_point):
    for example in EXAMPLES[entry_point]:
        words = shlex.split(example)
        settings = ENTRY_POINTS[words[words.index("-e") + 1] if "-e" in words else "main"]
        given = dict(word.split("=", 1) for flag, word in zip(words, words[1:], strict=False) if flag == "-P")
        assert set(given) <= set(settings.model_fields)
