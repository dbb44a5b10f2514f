"""Values as Markdown that shows them as they are."""

import pytest

from fairprof.reporting.markdown import escaped


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines", "two lines"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("A&B &lt;", "A&amp;B &amp;lt;"),
        ("![picture](address)", r"![picture\](address)"),
        ("[name][reference]", r"[name\][reference]"),
        ("*star* `code` ~gone~ $x$", r"\*star\* \`code\` \~gone\~ \$x\$"),
        ("_leans_", r"\_leans\_"),
        ("\\|", r"\\\|"),
        (12, "12"),
        # as they are
        ("Latino_Hispanic", "Latino_Hispanic"),
        ("p < .001", "p < .001"),
        (".043 [.012, .054]", ".043 [.012, .054]"),
        ("−.021, 75.3 %", "−.021, 75.3 %"),
    ],
)
def test_text_is_shown_as_it_is(value, shown):
    assert escaped(value) == shown
