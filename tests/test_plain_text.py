"""Texts from data, shown as they are: in one line, in Markdown, as names of files."""

import re

import pytest

from fairprof.plain_text import MOST_MARKS, in_code, in_markdown, plain_names, shortened, visible

LONG = "senior assistant manager of regional warehouse operations"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x1b[31mred\x07\x08", r"a\x1b[31mred\x07\x08"),
        ("\x9b1m\x00", r"\x9b1m\x00"),  # CSI in 8 bits
        ("\u202eevil\u202c \u2066x", r"\u202eevil\u202c \u2066x"),
        ("Wh\u200bi\u200cte\ufeff", r"Wh\u200bi\u200cte\ufeff"),
        ("\u3164\U000e0041", r"\u3164\U000e0041"),
        ("\ud800", r"\ud800"),
        ("o" + "\u0301" * 200, "o" + "\u0301" * MOST_MARKS + r"\u0301" * (200 - MOST_MARKS)),
        (" two\r\nlines\t\u2028\x85here ", "two lines here"),
        (7, "7"),
        # as they are
        ("Côte d’Ivoire, 女性, मानक, עברית", "Côte d’Ivoire, 女性, मानक, עברית"),
        ("می‌خواهم", "می‌خواهم"),  # with a joiner that Persian needs
        ("👩‍🔬", "👩‍🔬"),
        ("\\x1b", "\\x1b"),
    ],
)
def test_nothing_is_hidden_in_one_line(value, shown):
    assert visible(value) == shown
    assert "\n" not in visible(value) and visible(shown) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines", "two lines"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("<iframe src=javascript:alert(1)>", "&lt;iframe src=javascript:alert(1)&gt;"),
        ("A&B &lt;", "A&amp;B &amp;lt;"),
        ("![picture](address)", r"![picture\](address)"),
        ("[name][reference]", r"[name\][reference]"),
        ("[x]: javascript:alert(1)", r"\[x]&#58; javascript:alert(1)"),
        ("*star* `code` ~gone~ $x$", r"\*star\* \`code\` \~gone\~ &#36;x&#36;"),
        ("_leans_", r"\_leans\_"),
        ("\\|", r"\\\|"),
        ("see https://h.example or WWW.h.example", r"see https&#58;//h.example or WWW\.h.example"),
        ("me@h.example @you", "me&#64;h.example &#64;you"),
        (":smile:", "&#58;smile:"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("+ item", r"\+ item"),
        ("12. item", r"12\. item"),
        ("3) item", r"3\) item"),
        ("---", r"\---"),
        ("===", r"\==="),
        ("[x] done", r"\[x] done"),
        ("\x1b[0m", r"\\x1b[0m"),
        (12, "12"),
        # as they are
        ("Latino_Hispanic", "Latino_Hispanic"),
        ("p < .001", "p < .001"),
        (".043 [.012, .054]", ".043 [.012, .054]"),
        ("−.021, 75.3 %", "−.021, 75.3 %"),
        ("2.5 of 3", "2.5 of 3"),
        ("12:30:45", "12:30:45"),
        ("#1", "#1"),
    ],
)
def test_text_stays_text_within_markdown(value, shown):
    assert in_markdown(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("manifest", "`manifest`"), ("a`b``c", "```a`b``c```"), ("`", "`` ` ``"), ("<b>\n\x1b", r"`<b> \x1b`")],
)
def test_text_is_code_whatever_it_holds(value, shown):
    assert in_code(value) == shown


def test_long_texts_keep_their_beginning_and_their_end():
    assert shortened("nurse", 5) == "nurse"
    short = {shortened(f"{LONG} {number}", 30) for number in range(3)}
    assert len(short) == 3 and {len(name) for name in short} == {30}
    assert all(name.startswith("senior assistant") and "…" in name for name in short)


HOSTILE = (
    *(
        "con.png",
        "../x",
        "/etc/passwd",
        ".",
        "..",
        "",
        "con",
        "NUL",
        "com1",
        "a/b",
        "a\\b",
        "a:b",
        "x" * 300,
        "x" * 299 + "y",
        "a\0",
    ),
    *(
        "white",
        "White",
        "WHITE",
        "é",
        "e\u0301",
        "\ud800",
        "White-1234abcd",
        "tail ",
        "tail.",
        "-rf",
        "~",
        "$HOME",
        "*",
    ),
    *("女性", "女士", "\u202e", "straße", "STRASSE"),
)


def test_plain_names_are_short_safe_and_differ_in_more_than_their_case():
    names = plain_names(HOSTILE)
    assert list(names) == list(HOSTILE)
    assert len({name.lower() for name in names.values()}) == len(HOSTILE)
    for name in names.values():
        assert re.fullmatch(r"[^\W_][\w. -]{0,47}", name) and not name.endswith(" ")
        assert name.lower() not in ("con", "nul", "com1")


def test_names_that_can_be_plain_names_stay():
    names = ["Monk 1-4", "Latino_Hispanic", "x", "faces.v2", "女性"]
    assert plain_names(names) == dict(zip(names, names, strict=True))
    assert plain_names(["x", "a/b"])["a/b"].startswith("a_b-")
    assert plain_names(["a/b"]) == {"a/b": plain_names(["x", "a/b"])["a/b"]}  # whatever else there is
