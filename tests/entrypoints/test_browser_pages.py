"""MLflow's pages as a newcomer meets them: a real server, in a browser that has never seen it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browsers import LAPTOP
from tests.entrypoints.runs import MLFLOW_WARNS, client, compare, runs_in
from tests.servers import mlflow_server

pytestmark = [pytest.mark.slow, *MLFLOW_WARNS]

PATIENCE = 60_000  # milliseconds; MLflow's pages load in many pieces
ASSISTANT_CLOSED = """
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
"""


@pytest.fixture(scope="module")
def served(trained):
    """A folder with runs of A and B and their comparison, and the address of a server that shows them."""
    compare(trained, permutations=99, replicates=100)
    with mlflow_server(trained, f"sqlite:///{trained / 'mlflow.db'}") as address:
        yield trained, address


@pytest.fixture
def newcomer(browser, served):
    """A page of a browser with nothing remembered."""
    context = browser.new_context(viewport=LAPTOP)
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


@pytest.fixture
def views(newcomer):
    """A page whose reader has closed MLflow's assistant."""
    newcomer.add_init_script(ASSISTANT_CLOSED)
    return newcomer


def link_of(served, name: str) -> str:
    """The address that the description of the experiment gives a name."""
    experiment = client(served[0]).get_experiment_by_name("fairprof")
    described = experiment.tags["mlflow.note.content"]
    return f"{served[1]}/{described.partition(f'[{name}](')[2].partition(')')[0]}"


def wait_for_runs(page: Page, name: str) -> None:
    expect(page.get_by_role("link", name=name, exact=True).first).to_be_visible(timeout=PATIENCE)


def test_a_newcomer_finds_runs_report_maps_and_model_in_five_clicks(newcomer, served):
    page = newcomer
    page.goto(served[1])
    page.get_by_text("Model training", exact=True).click()  # 1: MLflow opens on chats otherwise
    page.get_by_role("link", name="fairprof", exact=True).click()  # 2
    wait_for_runs(page, "B-seed0")
    assert "/runs" in page.url
    page.get_by_role("link", name="B-seed0", exact=True).first.click()  # 3
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Report", exact=True).click()  # 4
    report = opened.value.frame_locator("iframe.mlflow-html-iframe")
    expect(report.get_by_role("heading", name="Run B-seed0: design B on synthetic")).to_be_visible(timeout=PATIENCE)
    maps = report.locator("img").first
    maps.scroll_into_view_if_needed()
    assert maps.evaluate("image => image.naturalWidth") > 300
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="fairprof-B version 1", exact=True).click()  # 5
    expect(opened.value.get_by_text("Version 1", exact=False).first).to_be_visible(timeout=PATIENCE)
    assert opened.value.url.split("?")[0].endswith("/#/models/fairprof-B/versions/1")


def test_a_run_leads_to_its_maps(newcomer, served):
    run = next(run for run in runs_in(served[0]) if run.info.run_name == "A-seed0")
    newcomer.goto(f"{served[1]}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
    with newcomer.context.expect_page() as opened:
        newcomer.get_by_role("link", name="Grad-CAM", exact=True).click()
    expect(opened.value.get_by_text("contact_sheet.png").first).to_be_visible(timeout=PATIENCE)


def test_the_view_of_runs_shows_rounded_scores_and_gaps_without_scrolling_sideways(views, served):
    views.goto(link_of(served, "Runs"))
    wait_for_runs(views, "A-seed0")
    headings = views.locator(".ag-header-cell").all_inner_texts()
    for name in ("design", "seed", "macro_F1", "DP_gender", "DP_race", "EO_gender", "EO_race", "Models"):
        assert name in headings
    assert views.locator(".ag-center-cols-viewport").first.evaluate("grid => grid.scrollWidth - grid.clientWidth") <= 0
    run = next(run for run in runs_in(served[0]) if run.info.run_name == "A-seed0")
    expect(views.get_by_text(f"{run.data.metrics['macro_F1']:g}", exact=True).first).to_be_visible()


def test_the_view_of_reports_shows_the_answer_of_a_comparison(views, served):
    views.goto(link_of(served, "Reports"))
    wait_for_runs(views, "comparison")
    (run,) = (run for run in runs_in(served[0]) if run.info.run_name == "comparison")
    expect(views.get_by_text(run.data.tags["answer"][:40]).first).to_be_visible()
    assert views.get_by_role("link", name="A-seed0", exact=True).count() == 0


def test_charts_open_on_scores_gaps_and_maps(views, served):
    views.goto(link_of(served, "Charts"))
    wait_for_runs(views, "A-seed0")
    for name in ("macro_F1", "DP_gender"):
        expect(views.get_by_text(name, exact=True).first).to_be_visible(timeout=PATIENCE)
    views.set_viewport_size({"width": 1366, "height": 2600})  # all of it, which is loaded as it comes into view
    sections = views.get_by_test_id("experiment-view-compare-runs-section-header")
    for section in ("Scores and gaps", "Training", "Grad-CAM"):
        expect(sections.filter(has_text=section).first).to_be_visible(timeout=PATIENCE)
    views.wait_for_function("[...document.images].some(image => image.naturalWidth > 200)")
