"""Any sections as HTML and as Markdown: complete, alike, well formed, and in need of nothing from outside."""

import base64
import hashlib
import html
import io
import re

import pytest
from PIL import Image

from fairprof.reporting.blocks import (
    LONG,
    Cell,
    Column,
    Commands,
    Heading,
    Paragraph,
    Picture,
    Section,
    Sentences,
    Table,
)
from fairprof.reporting.glossary import terms
from fairprof.reporting.page import ON_EVERY_PAGE, SCRIPTS, html_page, markdown_page
from tests.reporting.pages import Outline, plain_markdown, plain_text, rows_of

NASTY = "<b>A&B</b>"
DOCUMENT = "# Sheet\n<script>alert(1)</script> http://a.b"
COLUMNS = (Column("group"), Column("value", numeric=True), Column("verdict"))
SHORT = Table(
    "Few rows",
    COLUMNS,
    (
        (Cell(NASTY), Cell(".400", "[.300, .500]"), Cell("", verdict="not_established")),
        (Cell("b_c"), Cell("undefined"), Cell("", verdict="established")),
    ),
)
MANY = Table(
    "Many rows", COLUMNS, tuple((Cell("blue|collar"), Cell(f".{number:03d}"), Cell("*")) for number in range(LONG + 1))
)
SECTIONS = (
    Section("The answer", (Sentences("", (f"a gap of {NASTY} is .043", "[d](e) is not established")),)),
    Section(
        "Evidence",
        (
            Heading("Gaps between groups"),
            Paragraph("p < .001, and 75.3 % of it.", "At a glance."),
            Picture("gaps", "The gaps", "Further left is better."),
            Sentences("Not established", ("this one", "that one"), folded=True),
            SHORT,
            MANY,
        ),
    ),
    Section("How to repeat it", (Commands("mlflow run . \\\n  -P seed=3"), terms("pool", "noise floor"))),
)


@pytest.fixture(scope="module")
def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def page(picture) -> str:
    return html_page("Four designs", "made by hand", SECTIONS, {"gaps": picture}, {"data sheet": DOCUMENT})


@pytest.fixture(scope="module")
def markdown() -> str:
    return markdown_page("Four designs", "made by hand", SECTIONS, "pictures/")


def test_the_page_is_well_formed_and_accessible(page):
    outline = Outline(page)
    assert page.startswith("<!DOCTYPE html>")
    assert outline.of("html") == [{"lang": "en"}]
    assert page.count("<title>Four designs</title>") == len(outline.of("h1")) == 1
    identifiers = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)) > 3
    referred = [attributes["href"].removeprefix("#") for attributes in outline.of("a")]
    referred += [attributes["aria-labelledby"] for _, attributes in outline.elements if "aria-labelledby" in attributes]
    assert set(referred) <= set(identifiers)
    assert all(image["alt"] for image in outline.of("img"))
    assert len(outline.of("caption")) == len(outline.of("table")) == 2
    assert all(heading["scope"] in ("col", "row") for heading in outline.of("th"))


def test_headings_descend_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in Outline(page).elements if re.fullmatch(r"h\d", tag)]
    assert levels[:4] == [1, 2, 2, 3]
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def test_the_page_loads_nothing_and_runs_its_own_scripts_alone(page):
    outline = Outline(page)
    assert outline.of("script") == [{}] * len(ON_EVERY_PAGE)
    texts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert texts == [(SCRIPTS / f"{name}.js").read_text() for name in ON_EVERY_PAGE]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    admitted = " ".join(f"'sha256-{digest}'" for digest in digests)
    assert f'script-src {admitted}"' in html.unescape(page)
    assert not {tag for tag, _ in outline.elements} & {"link", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in outline.elements:
        for name in {"src", "href", "srcset", "data", "poster", "action", "background"} & set(attributes):
            assert re.match(r"#|data:image/png;base64,", attributes[name]), (tag, name)
        assert not [name for name in attributes if name.startswith("on")]
    style = page.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    assert "default-src 'none'" in html.unescape(page)


def test_names_and_documents_are_text_and_no_markup(page):
    assert "<b>" not in page and page.count("<script") == len(ON_EVERY_PAGE)
    text = plain_text(page)
    assert text.count(NASTY) == 2
    assert "# Sheet <script>alert(1)</script> http://a.b" in text


def test_names_in_markdown_are_text_and_no_markup(markdown):
    assert "<b>" not in markdown and "[d](e)" not in markdown
    for escaped in ("&lt;b&gt;A&amp;B&lt;/b&gt;", "b_c", r"[d\](e)", r"blue\|collar", r" \* ", "p < .001"):
        assert escaped in markdown


def test_sections_are_numbered_in_both(page, markdown):
    expected = ["1. The answer", "2. Evidence", "3. How to repeat it"]
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", page) == [*expected, "Documents"]
    assert re.findall(r"^## (.*)$", markdown, re.MULTILINE) == expected


def test_pictures_are_embedded_in_html_and_named_in_markdown(page, markdown):
    (image,) = Outline(page).of("img")
    assert (image["alt"], image["width"], image["height"]) == ("The gaps", "30", "20")
    assert "![The gaps](<pictures/gaps.png>)" in markdown


def test_a_picture_that_is_none_is_named():
    with pytest.raises(ValueError, match="picture 'gaps' is no PNG"):
        html_page("", "", SECTIONS, {"gaps": b"GIF89a"}, {})


def test_both_show_the_same_of_every_kind_of_block(page, markdown):
    text, source = plain_text(page), plain_markdown(markdown)
    kinds = set()
    for section in SECTIONS:
        for block in section.blocks:
            kinds.add(block.kind)
            fields = [value for value in vars(block).values() if isinstance(value, str)]
            if block.kind == "picture":
                fields = [block.caption]  # its title is for those who do not see it
            if block.kind == "commands":
                fields = [" ".join(line.split()) for line in fields[0].splitlines()]
            if block.kind == "terms":
                fields = [word for pair in block.pairs for word in pair]
            if block.kind == "sentences":
                fields += block.items
            assert all(field in text and field in source for field in fields), block
    assert kinds == {"heading", "paragraph", "sentences", "table", "picture", "commands", "terms"}


def test_cells_of_a_table_have_their_notes_and_verdicts(page, markdown):
    assert rows_of(page, "Few rows") == [
        ["group", "value", "verdict"],
        [NASTY, ".400 [.300, .500]", "not established"],
        ["b_c", "undefined", "established"],
    ]
    assert "| .400 ([.300, .500]) | not established |" in markdown


def test_long_tables_are_folded_and_short_ones_are_not(page, markdown):
    expected = ["Not established", f"Many rows: {LONG + 1} rows"]
    assert re.findall(r"<details><summary>(.*?)</summary>", page.split("<main>")[1]) == expected
    assert re.findall(r"<details><summary>(.*?)</summary>", markdown) == expected


def test_tables_in_markdown_keep_their_columns_and_rows(markdown):
    shapes = []
    for table in re.findall(r"(?:^\|.*\|\n)+", markdown, re.MULTILINE):
        heading, rule, *rows = table.splitlines()
        (bars,) = {len(re.findall(r"(?<!\\)\|", line)) for line in (heading, rule, *rows)}
        assert re.fullmatch(r"\|( -{3}:? \|)+", rule)
        shapes.append((bars - 1, len(rows)))
    assert shapes == [(3, 2), (3, LONG + 1)]
