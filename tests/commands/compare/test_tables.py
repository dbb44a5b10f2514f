"""The tables of a comparison, on predictions whose truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from fairprof.commands.compare.collect import RunResults
from fairprof.commands.compare.protocol import Protocol
from fairprof.commands.compare.run import in_arms_by_plan
from fairprof.commands.compare.tables import CONFIRMATORY_QUANTITIES, comparison_tables
from fairprof.inference.planning import Look, seed_plan
from fairprof.store.tracking import LoggedRun

CLASSES = ("student", "retired")
IMAGES = 400


def predictions(hit_rates: dict[str, float], generator: np.random.Generator) -> pd.DataFrame:
    """Predictions for the same images; hit_rates: P(right) of every gender."""
    number = np.arange(IMAGES)
    gender = np.where(number % 2, "Female", "Male")
    true = number // 2 % 2
    right = generator.random(IMAGES) < np.vectorize(hit_rates.get)(gender)
    predicted = np.where(right, true, 1 - true)
    return pd.DataFrame(
        {
            "image": [f"{n:03d}.png" for n in number],
            "partition": "test",
            "gender": pd.Categorical(gender, ["Male", "Female"]),
            "race": pd.Categorical(np.array(["Black", "White"])[number // 4 % 2]),
            "y_true": np.array(CLASSES)[true],
            "y_pred": np.array(CLASSES)[predicted],
            **{f"probability_{name}": np.where(predicted == n, 0.9, 0.1) for n, name in enumerate(CLASSES)},
        }
    )


def results_of(design: str, seed: int, hit_rates: dict[str, float], train_size: str = "natural") -> RunResults:
    generator = np.random.default_rng([ord(design), seed])
    history = pd.DataFrame({"epoch": [1, 2], **{f"val/{name}": [0.5, 0.25] for name in ("loss", "macro_f1")}})
    history = history.assign(**{f"val/{name}": [0.2, 0.1] for name in CONFIRMATORY_QUANTITIES})
    composition = pd.DataFrame(
        {
            "partition": ["train", "train", "val", "test"],
            "profession": "student",
            "race": "White",
            "gender": ["Male", "Female", "Male", "Male"],
            "count": [30 + seed, 30, 9, IMAGES],
        }
    )
    run = LoggedRun(
        run_id=f"{design}{seed}{train_size}",
        name=f"{design}-seed{seed}",
        status="FINISHED",
        params={"train_size": train_size, "fraction": "1.0"},
        tags={"fairprof.design": design, "fairprof.seed": str(seed)},
        metrics={},
    )
    return RunResults(run, predictions(hit_rates, generator), history, composition, {"best_epoch": 2.0})


EVEN, UNEVEN = {"Male": 0.8, "Female": 0.8}, {"Male": 0.9, "Female": 0.6}


def protocol_for(results: list[RunResults], **changes) -> Protocol:
    values = {
        "title": "test",
        "created": "2026-01-01T00:00:00+00:00",
        "study_key": "key",
        "data": "synthetic",
        "settings": {},
        "hyperparameters_hash": "hash",
        "pool_fingerprint": "pool",
        "test_fingerprint": "test",
        "weights": "random",
        "weights_sha256": "none",
        "classes": CLASSES,
        "groups": {},
        "test_images": IMAGES,
        "designs": tuple(sorted({run.design for run in results})),
        "seeds": tuple(sorted({run.seed for run in results})),
        "arms": tuple(dict.fromkeys(run.arm for run in results)),
        "reference": "A",
        "main_arm": results[0].arm,
        "pseudo_professions": True,
        "label_bias": "none",
        "label_bias_strength": 0.15,
        "cue_gap": 0.0,
        "ceiling": {"macro_f1": 0.9},
        "permutations": 199,
        "replicates": 300,
        "delta": 0.05,
        "min_support": 30,
        "versions": {},
        "git_commit": "unknown",
        "machine": "test",
        "failed": (),
    }
    return Protocol(**values | changes)


def tables_of(results: list[RunResults], **changes) -> dict[str, pd.DataFrame]:
    return comparison_tables(results, protocol_for(results, **changes))


def study(seeds: int, **rates) -> list[RunResults]:
    return [results_of(design, seed, rates[design]) for seed in range(seeds) for design in sorted(rates)]


@pytest.fixture(scope="module")
def six():
    results = study(6, A=EVEN, B=UNEVEN)
    return results, tables_of(results)


def row_of(table: pd.DataFrame, **place) -> pd.Series:
    found = table[np.logical_and.reduce([table[name].eq(value) for name, value in place.items()])]
    assert len(found) == 1
    return found.iloc[0]


EO_GENDER = {"metric": "equal_opportunity_difference", "attribute": "gender", "class": "max_over_classes"}


def test_performance_is_the_mean_over_seeds_of_what_scikit_learn_says(six):
    results, tables = six
    row = row_of(tables["performance"], design="B", metric="macro_f1")
    scores = [f1_score(run.test["y_true"], run.test["y_pred"], average="macro") for run in results if run.design == "B"]
    assert row["value"] == pytest.approx(np.mean(scores))
    assert row["seed_sd"] == pytest.approx(np.std(scores, ddof=1))
    assert row["seeds"] == 6
    assert row["lower"] < row["value"] < row["upper"]
    assert row["share_of_ceiling"] == pytest.approx(row["value"] / 0.9)
    shuffled = [
        (run.test["y_true"], run.test["y_pred"].sample(frac=1, random_state=0)) for run in results if run.design == "B"
    ]
    assert row["chance"] == pytest.approx(np.mean([f1_score(*pair, average="macro") for pair in shuffled]), abs=0.05)
    assert row["share_above_chance"] == pytest.approx((row["value"] - row["chance"]) / (0.9 - row["chance"]))
    assert np.isnan(row_of(tables["performance"], design="B", metric="accuracy")["ceiling"])


def test_error_of_the_test_images_is_that_of_a_proportion(six):
    results, tables = six
    row = row_of(tables["performance"], design="A", metric="accuracy")
    # six runs whose errors are independent: the mean of six proportions of the same images
    right = np.mean([run.test["y_true"].eq(run.test["y_pred"]) for run in results if run.design == "A"], axis=0)
    assert row["image_se"] == pytest.approx(right.std() / np.sqrt(IMAGES), rel=0.15)


def test_an_injected_gap_is_established_and_none_is_claimed_where_there_is_none(six):
    _, tables = six
    uneven = row_of(tables["gaps"], design="B", **EO_GENDER)
    assert uneven["verdict"] == "established" and uneven["family"] == "confirmatory"
    assert uneven["value"] - uneven["null_mean"] == pytest.approx(uneven["excess"])
    assert uneven["excess"] > 0.15
    even = tables["gaps"][tables["gaps"]["design"].eq("A")]
    assert not even.loc[even["family"].eq("confirmatory"), "verdict"].eq("established").any()
    by_race = tables["gaps"][tables["gaps"]["attribute"].eq("race") & tables["gaps"]["family"].eq("confirmatory")]
    assert not by_race["verdict"].eq("established").any()


def test_the_confirmatory_family_is_fixed(six):
    gaps = six[1]["gaps"]
    confirmatory = gaps[gaps["family"].eq("confirmatory")]
    assert len(confirmatory) == 2 * 4  # designs x (DP, EO) x (gender, race)
    assert set(confirmatory["class"]) == {"max_over_classes"}
    differences = six[1]["differences"]
    assert differences["family"].eq("confirmatory").sum() == 4


def test_six_paired_seeds_establish_a_difference_that_all_of_them_show(six):
    _, tables = six
    row = row_of(tables["differences"], design="B", **EO_GENDER)
    points = tables["seed_differences"]
    of_row = points[points["metric"].eq(EO_GENDER["metric"]) & points["attribute"].eq("gender")]
    assert (of_row["value"] > 0).all() and of_row["seed"].tolist() == list(range(6))
    assert row["value"] == pytest.approx(of_row["value"].mean())
    assert row["p_sign_flip"] == row["p_sign_flip_adjusted"] == row["smallest_p"] == 2 / 2**6
    assert row["p_adjusted"] == pytest.approx(1 - (1 - row["p_value"]) ** 4)
    assert row["scope"] == "new seeds and new images"
    assert row["verdict"] == "established"
    assert row["lower"] > 0


def test_three_seeds_establish_no_difference_between_designs():
    differences = tables_of(study(3, A=EVEN, B=UNEVEN))["differences"]
    assert set(differences["smallest_p"]) == {0.25}
    assert set(differences["verdict"]) == {"no_claim_possible"}


def test_one_seed_and_one_design_leave_what_can_be_said():
    tables = tables_of(study(1, B=UNEVEN), reference="B")
    assert tables["differences"].empty and tables["group_changes"].empty
    assert np.isnan(row_of(tables["performance"], design="B", metric="accuracy")["seed_sd"])
    assert row_of(tables["gaps"], design="B", **EO_GENDER)["verdict"] == "established"


def test_a_missing_run_takes_its_pair_out_and_nothing_else():
    results = [run for run in study(3, A=EVEN, B=UNEVEN) if (run.design, run.seed) != ("B", 1)]
    tables = tables_of(results)
    assert set(tables["differences"]["seeds"]) == {2}
    assert set(tables["seed_differences"]["seed"]) == {0, 2}
    assert row_of(tables["performance"], design="A", metric="accuracy")["seeds"] == 3


def test_the_change_of_a_group_is_that_of_its_accuracy(six):
    results, tables = six
    row = row_of(tables["group_changes"], design="B", attribute="gender", group="Female")

    def accuracy(design: str) -> float:
        women = [run.test[run.test["gender"].eq("Female")] for run in results if run.design == design]
        return np.mean([accuracy_score(test["y_true"], test["y_pred"]) for test in women])

    assert row["support"] == IMAGES / 2
    assert row["change"] == pytest.approx(accuracy("B") - accuracy("A"))
    assert row["lower"] < row["change"] < row["upper"] < 0


def test_confusion_counts_every_image_of_every_seed(six):
    confusion = six[1]["confusion"]
    assert set(confusion.groupby(["design", "attribute"])["count"].sum()) == {6 * IMAGES}


def test_training_images_and_composition_are_means_over_the_seeds(six):
    _, tables = six
    assert set(tables["runs"]["training_images"]) == {60, 61, 62, 63, 64, 65}
    composition = tables["composition"]
    men = composition[composition["partition"].eq("train") & composition["gender"].eq("Male")]
    assert set(men["count"]) == {32.5}
    size = row_of(tables["training_size"], design="A", metric="macro_f1")
    assert size["training_images"] == 62.5 and np.isnan(size["null_mean"])


def test_epochs_are_listed_for_every_run(six):
    epochs = six[1]["epochs"]
    assert len(epochs) == 12 * 2 * (2 + len(CONFIRMATORY_QUANTITIES))
    assert row_of(epochs, design="B", seed=3, metric="macro_f1", epoch=2)["value"] == 0.25


def test_arms_are_kept_apart_and_only_the_main_one_is_confirmatory():
    results = study(2, A=EVEN, B=EVEN)
    results += [results_of(design, seed, UNEVEN, "matched") for seed in range(2) for design in "AB"]
    tables = tables_of(results)
    assert list(tables["performance"]["arm"].unique()) == ["natural", "matched"]
    assert set(tables["gaps"].loc[tables["gaps"]["family"].eq("confirmatory"), "arm"]) == {"natural"}
    differences = tables["differences"]
    assert set(differences.loc[differences["family"].eq("confirmatory"), "arm"]) == {"natural"}
    assert len(tables["training_size"]) == 2 * 2 * 5


def test_the_order_of_runs_and_rows_changes_nothing(six):
    results, tables = six
    shuffled = [replace(run, test=run.test.sample(frac=1, random_state=7)) for run in reversed(results)]
    again = tables_of(shuffled)
    for name in ("performance", "gaps", "differences"):
        pd.testing.assert_frame_equal(again[name], tables[name], rtol=1e-9)


def test_seeds_that_were_added_later_have_an_arm_of_their_own():
    results = study(8, A=EVEN, B=UNEVEN)
    others = [results_of("A", 0, EVEN, "matched")]
    plan = seed_plan([Look(tuple(range(6)), frozenset(range(6)))], range(8))
    placed = in_arms_by_plan([*results, *others], plan)
    assert list(dict.fromkeys(run.arm for run in placed)) == ["natural", "natural, later seeds too", "matched"]
    tables = tables_of(placed, seeds=tuple(range(6)))
    planned = tables_of(results[:12])
    for name in ("performance", "differences"):
        of_main = tables[name][tables[name]["arm"].eq("natural")].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            of_main[of_main["family"].eq("confirmatory")] if "family" in of_main else of_main,
            planned[name][planned[name]["family"].eq("confirmatory")] if "family" in of_main else planned[name],
            check_exact=True,
        )
    later = tables["differences"][tables["differences"]["arm"].eq("natural, later seeds too")]
    assert set(later["family"]) == {"exploratory"} and set(later["seeds"]) == {8}
    assert set(tables["training_size"]["arm"]) == {"natural", "matched"}
    assert in_arms_by_plan(results, seed_plan([], range(8))) == results


def test_baselines_have_no_epochs():
    results = study(1, A=EVEN)
    assert "epochs" in tables_of(results, settings={"finetune": "head"})
    assert "epochs" not in tables_of(results, settings={"finetune": "knn"})
