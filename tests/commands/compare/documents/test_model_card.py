"""The model card: nine sections, numbers that are those of the tables, and what is said where something is missing."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from fairprof.commands.compare.documents.annex_iv import annex_iv
from fairprof.commands.compare.documents.model_card import model_card

SECTIONS = [  # Mitchell et al. 2019, figure 1
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
]


def only(table: pd.DataFrame, **values) -> pd.Series:
    chosen = pd.Series(True, table.index)
    for column, value in values.items():
        chosen &= table[column].eq(value)
    (row,) = table[chosen].itertuples(index=False)
    return row


def shown(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


@pytest.fixture
def card(tables, protocol) -> str:
    return model_card(tables, protocol, "B")


@pytest.mark.parametrize("design", "AB")
def test_all_sections_are_there_in_order_and_none_is_empty(tables, protocol, design, sections_of):
    sections = sections_of(model_card(tables, protocol, design))
    assert [heading for heading in sections if heading.startswith("## ")] == [f"## {name}" for name in SECTIONS]
    assert [heading for heading, body in sections.items() if not body] == []
    assert [heading for heading in sections if heading.startswith("### ")] == [
        "### Unitary results: gender, race",
        "### Intersectional results: gender x race",
        "### Which groups differ from the rest",
    ]


def test_it_is_of_the_registered_model(card):
    assert card.startswith("# Model card: fairprof-B\n")
    assert "`fairprof-B`" in card and "3 runs (seeds: 0, 1, 2)" in card


def test_performance_is_that_of_the_table(card, tables, row_of):
    row = only(tables["performance"], arm="natural", design="B", metric="macro_f1")
    assert row_of(card, "macro-F1") == [
        "macro-F1",
        shown(row.value),
        f"[{shown(row.lower)}, {shown(row.upper)}]",
        shown(row.seed_sd),
        shown(row.chance),
        shown(row.ceiling),
        f"{100 * row.share_of_ceiling:.1f} %",
        f"{100 * row.share_above_chance:.1f} %",
    ]


def test_gaps_have_floor_p_and_verdict(card, tables, row_of):
    metric, of = "equal_opportunity_difference", "max_over_classes"
    row = only(tables["gaps"], **{"arm": "natural", "design": "B", "attribute": "race", "metric": metric, "class": of})
    assert row_of(card, "race", "equal opportunity difference") == [
        *("race", "equal opportunity difference"),
        *(shown(row.value), shown(row.null_mean), shown(row.null_q95), shown(row.p_value)),
        *("< .001", "exploratory", "established", "0 / 2"),
    ]
    assert f"Established gaps: equal opportunity difference by race {shown(row.value)} (floor " in card
    assert row_of(card, "gender", "demographic parity difference")[-2] == "equivalent"


def test_what_is_undefined_is_said_to_be_so(card, row_of):
    row = row_of(card, "equalized odds difference", section="### Intersectional")
    assert row == ["equalized odds difference", *["undefined"] * 5, "exploratory", "undefined", "0 / 2"]
    assert not re.search(r"\b(nan|None)\b", card)


def test_groups_change_against_the_reference_and_small_ones_are_marked(card, tables, row_of):
    row = only(tables["group_changes"], arm="natural", group="Female x Black")
    assert row_of(card, "Female x Black") == [
        *("Female x Black", "20", shown(row.accuracy), f"+{shown(row.change)}"),
        *(f"[+{shown(row.lower)}, +{shown(row.upper)}]", "insufficient evidence"),
    ]
    assert row_of(card, "gender", "Male")[-1] == "sufficient"
    assert "behind a rate): Female x Black (2 rates)." in card


def test_the_reference_design_s_groups_are_those_of_the_confusion_table(tables, protocol, row_of):
    card = model_card(tables, protocol, "A")
    # 2 (210 + 1) of 3 x 210, and 2 (20 + 8) of 3 x 20
    assert row_of(card, "gender", "Male") == ["gender", "Male", "210", ".670", "sufficient"]
    assert row_of(card, "Female x Black") == ["Female x Black", "20", ".933", "insufficient evidence"]
    assert "Established gaps: none." in card


@pytest.fixture
def differing(tables, protocol):
    """Model card of B in which the first rates of gender_x_race differ, by the given contrasts."""

    def card(contrasts: list[float]) -> str:
        table = tables["contrasts"]
        rows = table[
            table["arm"].eq("natural") & table["design"].eq("B") & table["attribute"].eq("gender_x_race")
        ].index
        table.loc[rows[: len(contrasts)], "differs"] = True
        table.loc[rows[: len(contrasts)], "contrast"] = contrasts
        return model_card(tables, protocol, "B")

    return card


def test_rates_that_differ_are_shown_largest_first(differing):
    card = differing([0.01 * place * (-1) ** place for place in range(1, 13)])
    section = card.split("### Which groups differ from the rest")[1].split("##")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.split("\n") if line[:2] == "| "][2:]
    assert [row[6] for row in rows] == [
        *("+.120", "−.110", "+.100", "−.090", "+.080", "−.070", "+.060", "−.050", "+.040", "−.030")
    ]
    # the twelfth row of the table: two rates of two classes have four groups each
    assert rows[0][:4] == ["gender x race", "Female x Black", "true positive rate", "student"]
    assert rows[0][8] == "insufficient evidence" and rows[1][8] == "sufficient"
    assert "The 10 largest of 12 contrasts" in section


def test_of_two_groups_one_is_enough(tables, protocol):
    tables["contrasts"]["differs"] = tables["contrasts"]["attribute"].eq("race")
    section = model_card(tables, protocol, "B").split("### Which groups differ from the rest")[1]
    groups = [line.split("|")[2].strip() for line in section.split("\n") if line.startswith("| race")]
    assert groups == ["White"] * 6  # three rates of two classes


def test_no_difference_is_said_in_words(card):
    assert "By simultaneous bands, no rate of any group differs from the rest." in card


def test_training_data_are_means_over_the_seeds(card, tables, row_of):
    counts = tables["composition"]
    cell = dict(design="B", partition="train", gender="Female", race="Black")
    expected = [only(counts, profession=name, **cell).count for name in ("student", "retired")]
    assert row_of(card, "Female", "Black", section="## Training data")[2:] == [f"{value:,}" for value in expected]
    assert "Design B: 2,400 to 2,402 images a run, the same number in every cell of gender x profession" in card


def test_numbers_of_another_arm_are_left_out(card):
    assert not re.search(r"\b(9|10)\.\d{3}", card)


def test_what_only_the_provider_knows_is_asked_for(card):
    assert card.count("PROVIDER INPUT REQUIRED: ") == 3
    assert "prohibited" in card and "Article 5(1)(g)" in card and "Annex III, point 4" in card


def test_few_seeds_allow_no_claim_about_designs(tables, protocol):
    few = "no difference between designs can be claimed"
    assert few in model_card(tables, protocol, "B")
    assert few not in model_card(tables, replace(protocol, seeds=tuple(range(6))), "B")


def test_it_says_how_labels_data_and_weights_came_about(tables, protocol):
    card = model_card(
        tables,
        replace(
            protocol,
            data="utkface:/faces",
            weights="random",
            weights_sha256="none",
            label_bias="race",
            label_bias_strength=0.3,
            ceiling={},
            failed=(("B-seed3", "it was killed"),),
        ),
        "B",
    )
    assert "started from random weights; the head alone is trained" in card
    stated = model_card(tables, replace(protocol, weights_licence="cc-by-nc-4.0", weights_origin="hf-hub:a/b@1"), "B")
    assert "The weights that it started from state the licence cc-by-nc-4.0. PROVIDER INPUT REQUIRED" in stated
    assert "; published as hf-hub:a/b&#64;1)" in stated
    assert "label bias race of strength .3" in card
    assert "The pictures show real people" in card
    assert "B-seed3 (it was killed)" in card
    assert "(unknown here)" in card


@pytest.mark.parametrize(
    ("finetune", "said"),
    [
        ("head", ["a head of two linear layers", "the head alone is trained", "at most 6 epochs"]),
        ("linear_probe", ["one linear layer on its features", "multinomial logistic regression"]),
        ("knn", ["a vote of the training images", "a feature vector of the centre crop of every training image"]),
    ],
)
def test_it_says_how_the_models_were_fitted(tables, protocol, finetune, said):
    settings = protocol.settings | {"finetune": finetune, "epochs": "6"}
    documents = [
        model_card(tables, replace(protocol, settings=settings), "B"),
        annex_iv(tables, replace(protocol, settings=settings)),
    ]
    assert all(words in documents[0] for words in said)
    trained = finetune == "head"
    assert all(("AdamW" in document) == ("best epoch" in document) == trained for document in documents)


def test_stages_of_a_network_that_may_have_none_are_told_as_shares_of_its_blocks(tables, protocol):
    """A transformer has no stage `layer4`: there the setting means the last quarter of its blocks."""

    def told(architecture):
        settings = protocol.settings | {"finetune": "layer4", "architecture": architecture}
        return annex_iv(tables, replace(protocol, settings=settings))

    stage, share = "it is trained from stage layer4 on", "(of a network of one resolution: the last quarter of its bl"
    assert f"{stage}." in told("resnet50") and share not in told("resnet50")
    assert f"{stage} {share}" in told("timm:vit_small_patch16_224")


def test_labels_that_were_read_are_no_pseudo_professions(tables, protocol):
    card = model_card(tables, replace(protocol, data="manifest:faces.csv", pseudo_professions=False), "B")
    assert "at random given" not in card
    assert "PROVIDER INPUT REQUIRED: do the pictures show real people" in card


def test_group_names_cannot_break_a_table(tables, protocol, row_of):
    tables["group_changes"]["group"] = tables["group_changes"]["group"].replace("Female x Black", "a|b\n<i>")
    assert row_of(model_card(tables, protocol, "B"), r"a\|b &lt;i&gt;")[1] == "20"


def test_a_design_without_runs_in_the_main_arm_is_said_to_have_no_result(tables, protocol):
    for name, table in tables.items():
        tables[name] = table[table["design"].ne("B")]
    card = model_card(tables, protocol, "B")
    assert "No run of this design in arm natural ended: there is no result." in card
    assert "This card describes 0 runs (seeds: none)" in card


def test_a_comparison_without_the_design_is_refused(tables, protocol):
    with pytest.raises(ValueError, match="no design C: choose one of A, B"):
        model_card(tables, protocol, "C")
    with pytest.raises(ValueError, match="data=photos:x is of no known kind"):
        model_card(tables, replace(protocol, data="photos:x"), "B")


def test_merged_groups_and_those_left_out_are_told(tables, protocol):
    merged = replace(protocol, merge="race:x+y=few", exclude="race:z")
    card = model_card(tables, merged, "B")
    assert "By the setting merge, x and y (race) count as one group, named few." in card
    assert "By the setting exclude, images of z (race) were left out" in card
    assert "By the setting" not in model_card(tables, protocol, "B")
