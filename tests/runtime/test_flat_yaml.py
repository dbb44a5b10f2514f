"""A YAML file as names and values: whatever else it asks for is named with its line, and nothing of it is built."""

import pytest

from fairprof.errors import UserError
from fairprof.runtime.flat_yaml import MAX_BYTES, pairs_of

LAUGHS = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nepochs: *c\n"


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"learning_rate: 0.001\nepochs: 3", {"learning_rate": "0.001", "epochs": "3"}),
        (b"\xef\xbb\xbfepochs: 3 # few\r\n", {"epochs": "3"}),
        (b"{epochs: 3, 'compile': \"true\"}", {"epochs": "3", "compile": "true"}),
        (b"1: 2024-13-45\nnull: &anchor yes\n", {"1": "2024-13-45", "null": "yes"}),
        (b"--- {}\n", {}),
    ],
)
def test_scalars_stay_the_texts_that_they_are(content, values):
    assert pairs_of(content, "best.yaml") == values


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("epochs: 3\n".encode("utf-16"), ["not UTF-8", "save it as UTF-8"]),
        ("epochs: 3\n".encode("utf-16-le"), ["not YAML"]),
        (bytes(range(256)), ["not UTF-8", "byte 129"]),
        (b"", ["line 1"]),
        (b"- epochs\n", ["line 1"]),
        (b"epochs", ["line 1"]),
        (b"a: 1\nepochs: [3]\n", ["line 2"]),
        (b"a: 1\n? {b: c}\n: 2\n", ["line 2"]),
        (b"a: 1\n---\nb: 2\n", ["line 2"]),
        (LAUGHS.encode(), ["line 1"]),
        (b"a: &a 1\nb: *a\n", ["line 2"]),
        (b"a: 1\nepochs: !!python/object/apply:os.getcwd []\n", ["line 2"]),
        (b"epochs: !!binary abcd\n", ["line 1"]),
        (b"[" * MAX_BYTES, ["line 1"]),
        (b"a: " + b"{a: " * 10_000, ["line 1"]),
        (b"a: 1\na: 2\n", ["line 2", "a occurs twice"]),
        (b"%YAML 9.9\n---\na: 1\n", ["not YAML"]),
    ],
)
def test_whatever_else_yaml_has_is_refused_with_its_line(content, texts, refused):
    with refused("best.yaml", *texts):
        pairs_of(content, "best.yaml")


def test_a_name_that_fills_the_file_is_shortened_in_the_message():
    name = "n" * 30_000
    with pytest.raises(UserError) as refusal:
        pairs_of(f"{name}: 1\n{name}: 2\n".encode(), "best.yaml")
    assert len(str(refusal.value)) < 200
