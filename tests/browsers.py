"""A real browser for what readers see: Chromium, driven by Playwright."""

import html
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

LAPTOP = {"width": 1366, "height": 768}
PHONE = {"width": 375, "height": 740}
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, as the system has it; tests are skipped where it has none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium: install it with `apt-get install chromium`")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, address: str | Path, size: dict[str, int] = LAPTOP, **options: object) -> Iterator[Page]:
    """A page in a window of its own; what it says in the console that is wrong, or asks for elsewhere, is an error.

    address: a file or an address; options: of Playwright's `new_context`, such as `color_scheme`.
    """
    context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    try:
        page.goto(address.as_uri() if isinstance(address, Path) else address)
        yield page
        assert not wrong, wrong
    finally:
        context.close()


def in_frame(report: Path, style: str) -> Path:
    """A page beside a report that shows it as MLflow does: within a frame that runs scripts, and is a place of its own;
    style: of the frame."""
    page = html.escape(report.read_text(encoding="utf-8"))
    path = report.with_name("frame.html")
    path.write_text(
        "<!DOCTYPE html><title>frame</title>"
        f'<iframe sandbox="allow-scripts" style="{style}; border: 0" srcdoc="{page}"></iframe>',
        encoding="utf-8",
    )
    return path


def barriers(page: Page) -> list[str]:
    """What keeps people out, as axe-core finds it: a line for every rule that is broken, with the first place."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {rule['help']}: {rule['nodes'][0]['html'][:200]}" for rule in found]
