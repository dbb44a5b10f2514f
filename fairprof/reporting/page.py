"""Any sections as one HTML page that needs nothing else, and as Markdown.

Both are laid out from one list of sections, so that they say the same.
"""

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from fairprof.plain_text import in_markdown, unhidden, visible
from fairprof.reporting.blocks import Interactive, Section, Table
from fairprof.reporting.names import VERDICT_NAMES

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = Path(__file__).parent / "scripts"
PNG = b"\x89PNG\r\n\x1a\n"


def html_page(
    title: str,
    subtitle: str,
    content: Iterable[Section],
    pictures: dict[str, bytes],
    documents: dict[str, str],
    banners: Sequence[str] = (),
) -> str:
    """Any sections as one HTML page: nothing from outside, no script but its own, readable offline, without scripts, on
    a phone and on paper.

    pictures: name to PNG. documents: name to text, shown as it is. banners: what has to be known before anything is
    read. Raises `ValueError` where a picture is no PNG.
    """
    sections = tuple(content)
    interactive = [block.name for section in sections for block in section.blocks if isinstance(block, Interactive)]
    scripts = _scripts(interactive)
    library = (vega(),) if interactive else ()
    return _html("report.html.j2").render(
        title=title,
        subtitle=subtitle,
        banners=tuple(banners),
        sections=sections,
        images={name: _image(name, png) for name, png in pictures.items()},
        documents=documents,
        verdicts=VERDICT_NAMES,
        interactive=interactive,
        scripts=scripts,
        library=_packed_vega() if interactive else "",
        policy=_policy((*scripts, *library)),
    )


ON_EVERY_PAGE = ("contents", "numbers", "sorting", "terms", "links")
OF_INTERACTIVE_PARTS = ("fairness", "permutation", "explore")  # before those that are called as the parts


def _scripts(interactive: Sequence[str]) -> tuple[Markup, ...]:
    """The scripts of a page, in their order; interactive: the names of its parts that readers change."""
    scripts = tuple(map(script, ON_EVERY_PAGE))
    if not interactive:
        return scripts
    parts = tuple(script(f"explore_{name}") for name in interactive)
    return (*scripts, *map(script, OF_INTERACTIVE_PARTS), *parts)


@cache
def vega() -> str:
    """Vega, Vega-Lite and what embeds them, which draw the charts that readers change; 0.9 MB."""
    import vl_convert  # noqa: PLC0415 - a large library, for few pages

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f"(() => {{{bundle}}})();"  # its other names stay its own


@cache
def _packed_vega() -> str:
    """The same compressed, a third of it, in base 64: the page unpacks and runs it where a chart is drawn."""
    return base64.b64encode(gzip.compress(vega().encode(), mtime=0)).decode()


@cache
def script(name: str) -> Markup:
    """A script of this project by its name."""
    return Markup((SCRIPTS / f"{name}.js").read_text(encoding="utf-8"))


def _policy(scripts: Iterable[str]) -> str:
    """What a browser may do for a page (Content Security Policy, level 3): show pictures that are in it, and run these
    very scripts."""
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    admitted = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {admitted}"


def html_summary(sentences: Iterable[str], table: Table) -> str:
    """Sentences and one table as a piece of HTML without a style of its own, for a page such as a notebook's."""
    return _html("summary.html.j2").render(items=tuple(sentences), table=table, verdicts=VERDICT_NAMES)


def markdown_page(
    title: str, subtitle: str, content: Iterable[Section], folder: str, banners: Sequence[str] = ()
) -> str:
    """The same as GitHub-flavoured Markdown; a picture is its name and ".png", after `folder` ("" or "pictures/")."""
    return _markdown().render(
        title=title,
        subtitle=subtitle,
        banners=tuple(banners),
        sections=tuple(content),
        folder=folder,
        verdicts=VERDICT_NAMES,
    )


@dataclass(frozen=True)
class _Image:
    source: Markup
    width: int
    height: int


def _image(name: str, png: bytes) -> _Image:
    if not png.startswith(PNG):
        raise ValueError(f"the picture {name!r} is no PNG; give the bytes of a PNG file")
    # the header: width and height are the first two numbers after the name of its first chunk
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    source = Markup(f"data:image/png;base64,{base64.b64encode(png).decode()}")  # long, and of plain letters alone
    return _Image(source, width, height)


def _html(template: str) -> jinja2.Template:
    return _environment(finalize=_html_text).get_template(template)


def _markdown() -> jinja2.Template:
    # Escaped by finalize; what that returns is Markup, which the HTML escaping that follows leaves alone.
    return _environment(finalize=_markdown_text).get_template("report.md.j2")


@cache  # templates are read and compiled once
def _environment(finalize: Callable | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"lines": _lines, "code": _code}
    return environment


def _html_text(value: object) -> object:
    return _shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=2**14)  # the cells of tables repeat few texts
def _shown(text: str) -> Markup:
    return escape(visible(text))


def _lines(text: str) -> Markup:
    """Text of several lines, which keep their blanks."""
    return escape("\n".join(unhidden(line) for line in text.split("\n")))


def _code(text: str) -> Markup:
    """The same for indented code within Markdown, where nothing is escaped."""
    return Markup("\n".join(unhidden(line) for line in text.split("\n")))


def _markdown_text(value: object) -> Markup:
    if isinstance(value, Markup):
        return value
    return _escaped(value) if isinstance(value, str) else Markup(in_markdown(value))


@lru_cache(maxsize=2**14)
def _escaped(text: str) -> Markup:
    return Markup(in_markdown(text))
