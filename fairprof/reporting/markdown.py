"""Text that Markdown and HTML show as it is."""

import re


def escaped(value: object) -> str:
    """A value in one line, so that nothing of it is read as Markdown or HTML, in a table's cell as well.

    What cannot be read as either is left alone, so that the source reads well: the bracket of an interval, the
    underscore within a name, and "<" before a space.
    """
    text = " ".join(str(value).split())
    text = re.sub(r"<(?! )", "&lt;", text.replace("&", "&amp;")).replace(">", "&gt;")
    # brackets make a link only with what follows them, and an underscore within a word is one
    return re.sub(r"([\\`*|~$]|\](?=[\[(])|(?<!\w)_|_(?!\w))", r"\\\1", text)
