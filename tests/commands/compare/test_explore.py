"""What readers explore in a browser: equal to the tables, equal to what fairprof measures, and open to everybody."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Locator, Page

from fairprof.commands.compare.explore import STEPS, explore_blocks, runs_with_offsets, steps_below
from fairprof.inference.permutation import gap_tests
from fairprof.metrics import fairness, performance
from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, MAX_OVER_CLASSES, SCORES
from fairprof.reporting.blocks import Embedded, Paragraph
from fairprof.reporting.names import gap_name, name_of
from fairprof.reporting.wording import number
from fairprof.store import tracking
from tests.browsers import LAPTOP, PHONE, barriers, in_frame, opened
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
    return in_frame(report, "width: 579px; height: 536px")


@pytest.fixture
def page(browser, report):
    with opened(browser, report) as page:
        page.set_default_timeout(10_000)
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


def test_images_of_a_person_keep_together_when_floors_are_permuted(page, explored):
    people, generator = explored.results[0].test, np.random.default_rng(2)
    people = people.assign(person=[f"p{number}" for number in generator.integers(0, 60, len(people))])
    # a person's images are answered alike, so that floors are higher than those of single images
    answers = people["person"].map(lambda name: CLASSES[int(name[1:]) % 4])
    people = people.assign(y_pred=pd.Categorical(answers, CLASSES))
    codes = {
        "group": people["gender"].cat.codes.tolist(),
        "truth": performance.label_codes(people, "y_true").tolist(),
        "predicted": performance.label_codes(people, "y_pred").tolist(),
        "person": pd.factorize(people["person"])[0].tolist(),
    }
    program = "({ group, truth, predicted, person }) => permutation.floors(group, 2, truth, predicted, person, 4, 999)"
    found, of_images = page.evaluate(program, codes), page.evaluate(program, codes | {"person": None})
    tests = gap_tests(people, 999, np.random.default_rng(1), ["gender"]).set_index(["metric", "class"])
    for metric in DIFFERENCES:
        row = tests.loc[metric, MAX_OVER_CLASSES]
        assert found[metric]["mean"] == pytest.approx(row["null_mean"], rel=0.05)
        assert found[metric]["quantile"] == pytest.approx(row["null_q95"], rel=0.1)
    name = "demographic_parity_difference"
    assert found[name]["mean"] > 1.2 * of_images[name]["mean"]


def test_logarithms_are_rounded_and_the_largest_stays_the_largest():
    table = pd.DataFrame(
        {"probability_a": [0.5, 1.0, 0.4], "probability_b": [0.5, 0.0, 0.4 - 1e-9], "probability_c": [0.0, 0.0, 0.2]}
    )
    assert steps_below(table, np.array([1, 0, 0])).tolist() == [[1, 0, 65535], [0, 65535, 65535], [0, 1, 693]]


def test_as_many_seeds_are_embedded_as_the_page_has_room_for(explored):
    def embedded(images: int) -> list[int]:
        first = replace(explored.results[0], test=explored.results[0].test.sample(images, replace=True))
        return runs_with_offsets([first, *explored.results[1:]], explored.protocol)

    # two bytes a class and image, in base 64, for two designs: 900,000 letters
    assert embedded(300) == [0, 1, 2, 3, 4, 5]
    assert embedded(14_062) == [0, 1, 2, 3, 4, 5]
    assert embedded(14_063) == [0, 1, 2, 3]
    assert embedded(42_188) == []


# Seeds, and the trade-off.


def choose(place: Locator, **choices: str) -> None:
    for name, text in choices.items():
        place.locator(f'select[name="{name}"]').select_option(label=text)


def drawn(place: Locator) -> dict[str, float]:
    """The values that are listed, by run."""
    place.locator("details").evaluate("(fold) => { fold.open = true; }")
    return values(place, 3)


def test_any_score_gap_or_rate_of_every_run_can_be_chosen(page, explored):
    place, runs = part(page, "seeds"), explored.tables["runs"].set_index("run_name")
    assert drawn(place) == runs["macro_f1"].to_dict()
    choose(place, metric="equal opportunity difference", attribute="race")
    assert drawn(place) == runs["equal_opportunity_difference/race"].to_dict()
    tables = {result.run.name: result.test for result in explored.results}
    choose(place, metric="true positive rate", attribute="gender", group="Male", answer="white_collar")
    by_group = {name: fairness.rates_by_group(table) for name, table in tables.items()}
    wanted = {"attribute": "gender", "group": "Male", "class": "white_collar", "rate": "true_positive_rate"}
    rows = {name: table[(table[list(wanted)] == list(wanted.values())).all(axis=1)] for name, table in by_group.items()}
    assert drawn(place) == {name: row["value"].item() for name, row in rows.items()}
    assert values(place, 4) == {name: row["support"].item() for name, row in rows.items()}
    assert "The tables have no mean of it" in place.locator(".told").inner_text()
    choose(place, metric="accuracy", attribute="race", group="White")
    of_groups = {name: fairness.performance_by_group(table).set_index("group") for name, table in tables.items()}
    assert drawn(place) == {name: table.loc["White", "accuracy"] for name, table in of_groups.items()}
    place.get_by_label("B", exact=True).uncheck()
    assert set(drawn(place)) == {"A-seed0", "A-seed1", "A-seed2"}


def test_means_and_floors_are_those_of_the_tables(page, explored):
    place = part(page, "seeds")
    choose(place, metric="demographic parity difference", attribute="race", answer="mean over classes")
    gaps = explored.tables["gaps"].set_index(["attribute", "metric", "class", "design"]).sort_index()
    rows = gaps.loc["race", "demographic_parity_difference", "mean_over_classes"]
    means = ", ".join(f"{design} {number(rows.loc[design, 'value'])}" for design in "AB")
    assert f"Means over seeds: {means}." in place.locator(".told").inner_text()
    data = page.evaluate("explore.embedded('runs').gaps")
    found = {
        row["design"]: row
        for row in data
        if row["class"] == "mean_over_classes"
        and row["attribute"] == "race"
        and row["metric"] == "demographic_parity_difference"
    }
    for name in ("value", "upper", "null_mean", "null_q95"):
        assert {design: row[name] for design, row in found.items()} == rows[name].to_dict()


def test_a_mark_tells_its_seed_and_n(page, explored):
    place = part(page, "seeds")
    mark = place.locator(
        "svg .mark-symbol path[aria-label], svg .mark-symbol.layer_4_marks path, svg .mark-symbol path"
    ).last
    mark.hover(force=True)
    tip = page.locator("#vg-tooltip-element")
    tip.wait_for()
    assert re.search(r"seed\D*[012]", tip.inner_text()) and "300" in tip.inner_text()


def test_an_area_of_the_tradeoff_picture_chooses_runs(page, explored):
    place = part(page, "tradeoff")
    assert place.locator("tbody tr").count() == 6
    part(page, "seeds").locator("svg").wait_for()
    area = place.locator("svg .background").first
    box = area.bounding_box()
    half = {"x": box["width"] / 2, "y": box["height"] - 20}
    area.drag_to(area, source_position={"x": 20, "y": 20}, target_position=half, force=True)
    ends = [
        float(place.locator(f'[name="{name}"]').input_value())
        for name in ("score_from", "score_to", "gap_from", "gap_to")
    ]
    runs = explored.tables["runs"]
    within = runs["macro_f1"].between(*ends[:2]) & runs["demographic_parity_difference/gender"].between(*ends[2:])
    expected = set(runs.loc[within, "run_name"])
    assert 0 < len(expected) < 6
    assert set(place.locator("tbody th").all_inner_texts()) == expected
    place.get_by_role("button", name="All runs").click()
    assert place.locator("tbody tr").count() == 6


def test_limits_choose_runs_by_keyboard(page, explored):
    place = part(page, "tradeoff")
    choose(place, gap="equal opportunity difference by gender")
    gaps = explored.tables["runs"].set_index("run_name")["equal_opportunity_difference/gender"]
    least = round(gaps.median(), 3)
    place.get_by_role("group", name="Gap").get_by_label("from").press_sequentially(str(least))
    assert set(place.locator("tbody th").all_inner_texts()) == set(gaps.index[gaps >= least])
    assert "3 of 6 runs chosen" in place.locator(".told").inner_text()


# Errors beside their maps.


def test_errors_are_filtered_by_design_group_true_and_predicted_class(page, explored):
    place = part(page, "gallery")
    first = {run.design: run.test[:24] for run in explored.results if run.seed == 0}
    wrong = {
        design: table[table["y_true"].astype(str) != table["y_pred"].astype(str)] for design, table in first.items()
    }
    told = page.get_by_text("Errors of the runs of seed 0").inner_text()
    for table in wrong.values():
        assert f"{len(table)} of the 24 explained, {len(table)} shown" in told
    choose(place, design="B", attribute="race", group="White")
    of_white = wrong["B"][wrong["B"]["race"].eq("White")]
    assert place.locator("li").count() == len(of_white) > 0
    row = of_white.iloc[0]
    choose(place, true=row["y_true"], predicted=row["y_pred"])
    item = place.locator("li").first
    assert item.locator("img").get_attribute("alt") == f"Test image: {row['gender_x_race']}, truly {row['y_true']}"
    assert item.locator("img").evaluate("(image) => image.complete && image.naturalWidth") == 32
    assert f"{row['y_pred']} {number(row['probability_' + row['y_pred']])}" in item.inner_text()
    assert item.get_by_role("img", name="Grad-CAM").count() == 1


def test_images_of_people_stay_out_unless_somebody_has_said_so(explored):
    blocks = explore_blocks(explored.results, explored.tables, replace(explored.protocol, shows_faces=False))
    (data,) = [block.data for block in blocks if isinstance(block, Embedded) and block.name == "gallery"]
    assert {image["picture"] for image in data["images"]} == {None}
    text = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    assert "images of people from real data stay out of reports unless faces_in_reports is true" in text


# Everything together.


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out(browser, report, size, scheme):
    with opened(browser, report, size, color_scheme=scheme) as page:
        part(page, "tradeoff").locator("svg").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert barriers(page) == []


def test_inside_mlflows_frame_everything_works_and_nothing_is_asked_for(browser, framed):
    with opened(browser, framed) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        frame = page.main_frame.child_frames[0]
        place = frame.locator('[data-interactive="offsets"]')
        place.get_by_label("student").fill("-2")
        place.locator(".origin").filter(has_text="recomputed here").wait_for()
        frame.locator('[data-interactive="seeds"] svg').wait_for()
        frame.locator('[data-interactive="gallery"] li').first.wait_for()
        assert [address for address in asked if not address.startswith("data:")] == []


def test_an_old_browser_shows_the_values_without_a_chart(browser, report):
    with opened(browser, "about:blank") as page:
        page.add_init_script("delete window.DecompressionStream")
        page.goto(report.as_uri())
        place = part(page, "tradeoff")
        place.get_by_text("This browser is too old").wait_for()
        assert place.locator("tbody tr").count() == 6


def test_the_page_stays_small(explored):
    assert len(explored.page) < 900_000  # of which the library that draws charts is 410,000


def test_sliders_and_columns_answer_to_keys(page):
    place = part(page, "offsets")
    slider = place.get_by_label("student")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "0.05"
    assert slider.get_attribute("aria-valuetext") == "+.05"
    settled(place, "recomputed here")
    title = place.get_by_role("button", name="with the offsets")
    title.focus()
    page.keyboard.press("Enter")
    found = [value for value in values(place, 2).values()]
    assert found == sorted(found)
    assert place.get_by_role("columnheader", name="with the offsets").get_attribute("aria-sort") == "ascending"


def test_runs_lead_to_their_pages(page, explored):
    run = explored.results[0].run
    link = part(page, "tradeoff").get_by_role("link", name=run.name)
    assert link.get_attribute("href").startswith("http://127.0.0.1:5000/#/experiments/")
    assert link.get_attribute("href").endswith(f"/runs/{run.run_id}")
    assert link.get_attribute("target") == "_blank"


def test_models_and_files_lead_to_their_pages(page, explored):
    page.get_by_text("Registered models, and the files").click()
    link = page.get_by_role("link", name="comparison/gaps.csv")
    experiment = tracking.experiment_of(explored.results[0].run.run_id)
    server = "http://127.0.0.1:5000/#"
    files = f"{server}/experiments/{experiment}/runs/c0ffee/artifacts"
    assert link.get_attribute("href") == f"{files}/comparison/gaps.csv"
    model = page.get_by_role("row", name="model of B-seed1").get_by_role("link")
    assert (model.text_content(), model.get_attribute("href")) == (
        "models:/fairprof-B/3",
        f"{server}/models/fairprof-B/versions/3",
    )


def test_on_paper_and_without_scripts_a_line_stands_for_each_part(browser, report):
    with opened(browser, report) as page:
        page.emulate_media(media="print")
        assert not part(page, "offsets").is_visible()
    with opened(browser, report, java_script_enabled=False) as page:
        assert page.get_by_text("This part needs scripts").count() == 4
        assert not part(page, "offsets").is_visible()
