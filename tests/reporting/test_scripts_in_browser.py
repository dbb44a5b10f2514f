"""What scripts do with any page: tables that sort, and terms that are explained."""

import pytest

from fairprof.reporting.blocks import Cell, Column, Paragraph, Section, Table
from fairprof.reporting.glossary import TERMS, terms
from fairprof.reporting.page import html_page
from tests.browsers import barriers, opened

VALUES = (".021", "−.300", "undefined", "< .001", "1,204", "+.020", "12.3 %", "–", ".001")
SORTED = ["−.300", "< .001", ".001", "+.020", ".021", "12.3 %", "1,204", "undefined", "–"]
TABLE = Table(
    "Numbers",
    (Column("name"), Column("noise floor", numeric=True), Column("verdict")),
    tuple(
        (
            Cell(f"row {place}"),
            Cell(text, "[.900, .999]"),
            Cell("", verdict="established" if place % 2 else "equivalent"),
        )
        for place, text in enumerate(VALUES)
    ),
)
TEXT = "A gap stands beside its noise floor. The noise floor of a gap is never 0. Designs differ; DP is one gap, no dp."


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    sections = (
        Section("First", (Paragraph(TEXT), TABLE)),
        Section("Second", (Paragraph(TEXT),)),
        Section("Terms", (terms("noise floor", "design", "demographic parity difference, DP"),)),
    )
    path = tmp_path_factory.mktemp("scripts") / "report.html"
    path.write_text(html_page("Scripts", "", sections, {}, {}), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, report):
    with opened(browser, report) as page:
        yield page


def test_a_column_sorts_up_down_and_back_by_the_numbers_that_its_texts_are(page):
    title = page.locator("thead button").nth(1)
    heading = page.get_by_role("columnheader", name="noise floor")

    def texts() -> list[str]:
        return [cell.inner_text().split("\n")[0] for cell in page.locator("tbody tr td:nth-child(2)").all()]

    assert texts() == list(VALUES)
    title.click()
    assert (texts(), heading.get_attribute("aria-sort")) == (SORTED, "ascending")
    title.press("Enter")
    assert texts() == [*SORTED[-3::-1], *SORTED[-2:]]
    assert heading.get_attribute("aria-sort") == "descending"
    title.press("Space")
    assert (texts(), heading.get_attribute("aria-sort")) == (list(VALUES), None)


def test_texts_sort_as_texts_with_the_numbers_in_them(page):
    page.get_by_role("button", name="name").click()
    page.get_by_role("button", name="name").click()
    assert page.locator("tbody th").first.inner_text() == "row 8"
    page.get_by_role("button", name="verdict").click()
    assert page.locator("tbody td:last-child").first.inner_text() == "equivalent"
    assert page.get_by_role("columnheader", name="name").get_attribute("aria-sort") is None


def test_a_term_is_explained_where_a_section_names_it_first(page):
    first = page.locator("main > section").first
    assert first.locator(".term").all_inner_texts() == ["noise floor", "Designs", "DP"]
    assert page.locator("main > section").nth(1).locator(".term").count() == 3
    term, tip = first.locator(".term").first, page.get_by_role("tooltip")
    assert page.locator(f"#{term.get_attribute('aria-describedby')}").inner_text() == TERMS["noise floor"]
    term.hover()
    assert tip.inner_text() == TERMS["noise floor"]
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    first.locator(".term").nth(1).focus()
    assert tip.inner_text() == TERMS["design"]
    page.locator("thead button").nth(1).focus()
    assert tip.inner_text() == TERMS["noise floor"]
    assert barriers(page) == []
    page.emulate_media(media="print")
    assert not tip.is_visible()
