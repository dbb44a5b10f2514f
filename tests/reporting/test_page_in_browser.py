"""The page in a browser: contents that lead somewhere, as a file and inside a frame that may not go anywhere."""

import io
from pathlib import Path

import pytest
from PIL import Image

from fairprof.reporting.blocks import (
    Answer,
    Cell,
    Column,
    Commands,
    Fold,
    Heading,
    Paragraph,
    Picture,
    Section,
    Sentences,
    Table,
)
from fairprof.reporting.glossary import terms
from fairprof.reporting.page import html_page
from tests.browsers import PHONE, barriers, in_frame, opened

LONG_TEXT = "What is said here goes on for a while, so that a reader has to scroll. " * 40
WIDE = Table(
    "A table of many columns",
    tuple(Column(f"column {place}", numeric=place > 0) for place in range(9)),
    tuple((Cell(f"row {row}"), *(Cell(".123", "[.100, .200]") for _ in range(8))) for row in range(4)),
)
LONG = Table("Many rows", WIDE.columns, WIDE.rows * 5)
SECTIONS = (
    Section("The answer", (Answer(("No design proved fairer than another.",)), WIDE)),
    Section(
        "Evidence",
        (
            Heading("Gaps"),
            Paragraph(LONG_TEXT),
            Picture("gaps", "The gaps", "Further left is better.", "A is at .100, B at .200"),
            Heading("Differences"),
            Paragraph(LONG_TEXT),
            Fold("In more detail", (Sentences("Not established", ("this one",)), LONG)),
        ),
    ),
    Section("Terms", (Commands("mlflow run ."), terms("pool", "noise floor"))),
)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    file = io.BytesIO()
    Image.new("RGB", (1320, 500), "teal").save(file, "PNG")
    page = html_page(
        "Four designs", "made by hand", SECTIONS, {"gaps": file.getvalue()}, {"sheet": "# Sheet"}, ("Few images.",)
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def framed(report) -> Path:
    return in_frame(report, "width: 100%; height: 700px")


@pytest.mark.parametrize("place", ["report", "framed"])
def test_contents_lead_to_sections_and_subsections(browser, request, place):
    with opened(browser, request.getfixturevalue(place)) as page:
        shown = page.main_frame.child_frames[0] if place == "framed" else page.main_frame
        link = shown.get_by_role("navigation").get_by_role("link", name="Differences")
        heading = shown.get_by_role("heading", name="Differences")
        assert heading.bounding_box()["y"] > 768
        link.click()
        assert 0 <= heading.bounding_box()["y"] < 300
        assert link.get_attribute("aria-current") == "location"
        shown.get_by_role("link", name="sheet").click()
        assert shown.get_by_text("# Sheet").is_visible()


def test_on_a_phone_nothing_that_matters_scrolls_sideways(browser, report):
    with opened(browser, report, PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        boxes = page.locator("main .scroll:not(details .scroll)")
        assert boxes.count() == 2
        assert boxes.evaluate_all("(boxes) => boxes.every((box) => box.scrollWidth <= box.clientWidth)")
        assert not page.get_by_role("link", name="Differences").is_visible()
        page.get_by_text("Contents").click()
        page.get_by_role("link", name="Differences").click()
        assert 0 <= page.get_by_role("heading", name="Differences").bounding_box()["y"] < 300
        page.get_by_role("button", name="Enlarge").click()
        assert page.locator("img").bounding_box()["width"] == 1320


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}], ids=["light", "dark"])
@pytest.mark.parametrize("size", [None, PHONE], ids=["laptop", "phone"])
def test_nobody_is_kept_out(browser, report, options, size):
    with opened(browser, report, **({"size": size} if size else {}), **options) as page:
        for fold in page.locator("details").all():
            fold.evaluate("(fold) => { fold.open = true; }")
        assert barriers(page) == []


def test_what_is_folded_is_not_printed(browser, report):
    with opened(browser, report) as page:
        page.emulate_media(media="print")
        assert not page.get_by_text("In more detail").is_visible()
        assert not page.get_by_role("navigation").is_visible()
        assert page.get_by_text("are not printed").is_visible()


def test_without_scripts_everything_is_there(browser, report):
    with opened(browser, report, java_script_enabled=False) as page:
        page.get_by_text("Contents").click()
        page.get_by_role("link", name="Differences").click()
        assert 0 <= page.get_by_role("heading", name="Differences").bounding_box()["y"] < 300
