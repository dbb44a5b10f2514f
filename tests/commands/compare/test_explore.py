"""What readers explore in a browser: equal to the tables, equal to what fairprof measures, and open to everybody."""

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Locator, Page

from fairprof.commands.compare.explore import STEPS, runs_with_offsets, steps_below
from fairprof.inference.permutation import gap_tests
from fairprof.metrics import fairness, performance
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MAX_OVER_CLASSES, SCORES
from fairprof.reporting.names import gap_name, name_of
from fairprof.reporting.wording import number
from fairprof.store import tracking
from tests.browsers import PHONE, barriers, browser, opened  # noqa: F401
from tests.commands.compare.explored import CLASSES, Explored, made_comparison


@pytest.fixture(scope="module")
def explored(store) -> Explored:
    return made_comparison()


@pytest.fixture(scope="module")
def report(explored, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("explored") / "report.html"
    path.write_text(explored.page, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def framed(report) -> Path:
    """The report as MLflow shows it: within a frame that runs scripts, and is a place of its own."""
    path = report.with_name("frame.html")
    page = html.escape(report.read_text(encoding="utf-8"))
    path.write_text(
        "<!DOCTYPE html><title>frame</title>"
        f'<iframe sandbox="allow-scripts" style="width: 579px; height: 536px; border: 0" srcdoc="{page}"></iframe>',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def page(browser, report):  # noqa: F811
    with opened(browser, report) as page:
        yield page


def part(page: Page, name: str) -> Locator:
    return page.locator(f'[data-interactive="{name}"]')


def values(place: Locator, column: int) -> dict[str, float]:
    """The numbers of a column, to the last digit, by the texts of the first."""
    rows = place.locator("tbody tr").all()
    return {
        row.locator("th").inner_text(): float(row.locator("td").nth(column - 1).get_attribute("data-value") or "nan")
        for row in rows
    }


def move(place: Locator, target: str, steps: dict[str, float]) -> None:
    """Sets sliders, for everybody or a group."""
    place.get_by_label("Offsets for").select_option(label=target)
    for name, offset in steps.items():
        place.get_by_label(name, exact=False).fill(str(offset))


def settled(place: Locator, text: str) -> None:
    place.locator(".origin").filter(has_text=text).wait_for()


def named_values(run: pd.DataFrame) -> dict[str, float]:
    """What fairprof measures of predictions, by the names that the page has."""
    found = performance.performance(run)
    summary = fairness.summary(run)
    scores = {name_of(score): found[score] for score in SCORES}
    return scores | {
        gap_name(metric, attribute): summary[f"{metric}/{attribute}"]
        for attribute in ATTRIBUTES
        for metric in DIFFERENCES
    }


def test_without_offsets_everything_is_that_of_the_runs_own_tables_to_the_last_digit(page, explored):
    place = part(page, "offsets")
    for result in explored.results:
        place.get_by_label("Run").select_option(label=result.run.name)
        row = explored.tables["runs"].set_index("run_name").loc[result.run.name]
        gaps = tracking.load_table(result.run.run_id, "metrics/gaps.csv")
        gaps = gaps[gaps["view"].eq("natural") & gaps["class"].eq(MAX_OVER_CLASSES) & gaps["metric"].isin(DIFFERENCES)]
        expected = {name_of(score): row[score] for score in SCORES}
        names = [gap_name(gap.metric, gap.attribute) for gap in gaps.itertuples()]
        expected |= dict(zip(names, gaps["value"], strict=True))
        assert values(place, 1) == expected
        assert values(place, 2) == expected
        floors = {name: values(place, column) for name, column in (("null_mean", 4), ("null_q95", 5))}
        for name, found in floors.items():
            assert {gap: found[gap] for gap in names} == dict(zip(names, gaps[name], strict=True))
        texts = {
            tr.locator("th").inner_text(): tr.locator("td").all_inner_texts() for tr in place.locator("tbody tr").all()
        }
        for gap in gaps.itertuples():
            found = texts[gap_name(gap.metric, gap.attribute)]
            assert found[0] == found[1] == number(gap.value)
            assert found[5].endswith(f"; {gap.highest_group}, {gap.lowest_group}")
            assert found[6:] == [str(gap.undefined_cells), str(gap.insufficient_cells)]
    assert place.locator(".origin").inner_text() == "those of the run's table"


def with_offsets(result, offsets: dict[tuple[str, str] | None, dict[str, float]]) -> pd.DataFrame:
    """A run's predictions with offsets added to its log-probabilities, which are rounded as in the page."""
    run = result.test.sort_values("image", ignore_index=True)
    predicted = performance.label_codes(run, "y_pred")
    heights = -steps_below(run, predicted).astype(int)
    for target, steps in offsets.items():
        concerned = np.ones(len(run), bool) if target is None else run[target[0]].eq(target[1]).to_numpy()
        for name, offset in steps.items():
            heights[concerned, CLASSES.index(name)] += round(STEPS * offset)
    best = heights == heights.max(axis=1, keepdims=True)
    kept = best[np.arange(len(run)), predicted]
    answers = np.where(kept, predicted, best.argmax(axis=1))
    return run.assign(y_pred=pd.Categorical.from_codes(answers, CLASSES))


def test_with_offsets_everything_is_what_fairprof_measures_of_the_shifted_predictions(page, explored):
    place, result = part(page, "offsets"), explored.results[3]
    place.get_by_label("Run").select_option(label=result.run.name)
    everybody, female = {"student": -0.8, "retired": 0.45}, {"student": -1.1, "white_collar": 2.0}
    move(place, "everybody", everybody)
    move(place, "Female", female)
    move(place, "Male x White", {"blue_collar": -3})
    settled(place, "recomputed here")
    shifted = with_offsets(
        result,
        {None: everybody, ("gender", "Female"): female, ("gender_x_race", "Male x White"): {"blue_collar": -3}},
    )
    changed = (shifted["y_pred"].astype(str) != result.test.sort_values("image")["y_pred"].astype(str).to_numpy()).sum()
    assert changed > 30
    assert f"{changed} answers of 300 changed" in place.locator(".told").inner_text()
    expected = named_values(shifted)
    assert values(place, 2) == expected
    assert values(place, 1) != expected
    # floors are those of other permutations of the same groups: as near as chance lets 2 x 99 of them be
    tests = gap_tests(shifted, 999, np.random.default_rng(1)).set_index(["attribute", "metric", "class"])
    means, quantiles = values(place, 4), values(place, 5)
    for attribute in ATTRIBUTES:
        for metric in DIFFERENCES:
            row, name = tests.loc[attribute, metric, MAX_OVER_CLASSES], gap_name(metric, attribute)
            assert means[name] == pytest.approx(row["null_mean"], rel=0.1)
            assert quantiles[name] == pytest.approx(row["null_q95"], rel=0.25)
    place.get_by_role("button", name="Reset").click()
    settled(place, "those of the run's table")
    assert values(place, 2) == values(place, 1)


def test_logarithms_are_rounded_and_the_largest_stays_the_largest():
    table = pd.DataFrame(
        {"probability_a": [0.5, 1.0, 0.4], "probability_b": [0.5, 0.0, 0.4 - 1e-9], "probability_c": [0.0, 0.0, 0.2]}
    )
    assert steps_below(table, np.array([1, 0, 0])).tolist() == [[1, 0, 65535], [0, 65535, 65535], [0, 1, 693]]


def test_fewer_seeds_are_embedded_where_images_are_many(explored):
    assert runs_with_offsets(explored.results, explored.protocol) == [0, 1, 2, 3, 4, 5]
