"""Text from data, which may hold anything: shown as text wherever it stands, where it does nothing else."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

JOINERS = "\u200c\u200d"  # which Persian, Indian scripts and emoji need
BEYOND_LATIN = "\u0250"  # from here on, joiners join letters
HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks that nobody sees
MOST_MARKS = 4  # on one letter; more of them cover the lines around it
PLAIN_NAME = re.compile(r"(?=.{1,48}$)[^\W_](?:[\w. -]*\w)?")  # 48 letters are 192 bytes at most
# names of devices, and names that end as those that are made here
NOT_FREE = re.compile(r"(con|prn|aux|nul|(com|lpt)\d)(\..*)?|.*-[0-9a-f]{8}", re.IGNORECASE)


def visible(value: object) -> str:
    r"""A value in one line, in which nothing is hidden: what is not seen, or changes how the rest is shown, is written
    as Python writes it ("\x1b", "\u202e").

    So are control and format characters (of terminals, of the direction of writing), lone surrogates, invisible
    letters, what Unicode has not assigned, and more than MOST_MARKS marks on a letter.
    """
    return unhidden(" ".join(str(value).split()))


def unhidden(text: str) -> str:
    """A text, whose blanks stay as they are, in which nothing is hidden, as in `visible`."""
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], 0
    for place, character in enumerate(text):
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        hidden = not character.isprintable() or character in HIDDEN or marks > MOST_MARKS
        if character in JOINERS:
            hidden = text[place - 1 : place] < BEYOND_LATIN or text[place + 1 : place + 2] < BEYOND_LATIN
        shown.append(written(character) if hidden else character)
    return "".join(shown)


def written(character: str) -> str:
    r"""A character as Python writes it in ASCII: "\x1b", "\u202e"."""
    return character.encode("unicode_escape").decode()


def shortened(text: str, letters: int) -> str:
    """At most so many letters, left out in the middle: long names often differ in their ends."""
    if len(text) <= letters:
        return text
    return f"{text[: letters - letters // 3 - 1]}…{text[len(text) - letters // 3 :]}"


def in_markdown(value: object) -> str:
    """A value in one line, so that nothing of it is read as Markdown or HTML, in a table's cell as well, and nothing
    becomes a link by itself.

    What cannot be read as either is left alone, so that the source reads well: the bracket of an interval, the
    underscore within a name, and "<" before a space.
    """
    text = re.sub(r"<(?! )", "&lt;", visible(value).replace("&", "&amp;")).replace(">", "&gt;")
    # a colon makes addresses, references and the names of emoji; not every Markdown has a backslash for these
    text = re.sub(r":(?=//|[a-z+-][\w+-]*:)|(?<=\]):", "&#58;", text.replace("@", "&#64;").replace("$", "&#36;"))
    # brackets make a link only with what follows them, and an underscore within a word is one
    text = re.sub(r"([\\`*|~]|\](?=[\[(])|(?<!\w)_|_(?!\w))", r"\\\1", text)
    text = re.sub(r"\b(www)\.", r"\1\\.", text, flags=re.IGNORECASE)
    # what makes a heading, a list, a box to tick or a rule where a line begins with it
    text = re.sub(r"^(?=#{1,6}(\s|$)|[-+](\s|$)|[-=]+$|\[[ xX]\])", r"\\", text)
    return re.sub(r"^(\d{1,9})(?=[.)](\s|$))", r"\1\\", text)


def in_code(value: object) -> str:
    """A value in one line as code within Markdown."""
    text = visible(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    room = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{room}{text}{room}{fence}"


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """A name for a file, without its ending, or for a metric, for every one of different names: one that any file
    system and MLflow hold, that is no path, and that differs from the others in more than its case.

    A name that is one already is taken as it is; another is shortened to letters and digits, and has a digest.
    """
    names = list(names)
    folded = Counter(name.casefold() for name in names)
    return {name: name if _is_plain(name) and folded[name.casefold()] == 1 else _made_plain(name) for name in names}


def _is_plain(name: str) -> bool:
    composed = unicodedata.normalize("NFC", name) == name  # some file systems do not tell the others apart
    return composed and PLAIN_NAME.fullmatch(name) is not None and NOT_FREE.fullmatch(name) is None


def _made_plain(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    letters = re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", name)).strip("_")[:32]
    return f"{letters or 'name'}-{digest}"
