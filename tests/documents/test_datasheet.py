"""The datasheet of a draw: seven sections, counts that are those of the draw, and what is asked of the provider."""

from dataclasses import replace

import pytest

from fairprof.data.designs import DESIGNS, draw
from fairprof.data.pool import load_pool
from fairprof.documents.datasheet import datasheet, datasheet_facts

SECTIONS = [  # Gebru et al. 2021
    "Motivation",
    "Composition",
    "Collection process",
    "Preprocessing, cleaning and labelling",
    "Uses",
    "Distribution",
    "Maintenance",
]
COMPOSITION = "## Composition"
ASKED = "PROVIDER INPUT REQUIRED: "


@pytest.fixture
def facts_of(make_settings):
    """Facts of a draw; labels alone are read unless pixels are asked for."""

    def facts(data: str, design: str = "A", with_pixels: bool = False, **values):
        settings = make_settings(data=data, experiment=design, max_quarantined_share=0.5, image_size=32, **values)
        pool = load_pool(settings, 32 if with_pixels else None)
        return datasheet_facts(pool, draw(pool, DESIGNS[design], settings), settings)

    return facts


@pytest.fixture
def manifest(write_manifest):
    """Two rows of train, two of val and three of test in every cell of gender x race x profession, but twice as many
    of training men; and four rows that cannot be used."""

    def write(gender: str = "m", **columns) -> str:
        rows = [
            {
                "image": f"{partition}-{g}-{race}-{profession}-{number}.png",
                "gender": g,
                "race": race,
                "profession": profession,
                "partition": partition,
                **columns,
            }
            for partition, count in (("train", 2), ("val", 2), ("test", 3))
            for g in (gender, "f")
            for race in ("x", "y")
            for profession in ("cook", "nurse")
            for number in range(count * (2 if partition == "train" and g == gender else 1))
        ]
        bad = [rows[0], rows[0] | {"image": "1"}, rows[0] | {"image": "2"}, rows[-1] | {"image": "3"}]
        bad[1] = bad[1] | {"profession": ""}
        bad[2] = bad[2] | {"partition": "training"}
        bad[3] = bad[3] | {"gender": ""}
        return write_manifest(rows + bad)

    return write


def test_all_sections_are_there_in_order_and_none_is_empty(facts_of, manifest, sections_of):
    sections = sections_of(datasheet(facts_of(manifest())))
    assert list(sections)[1:] == [f"## {name}" for name in SECTIONS]
    assert [heading for heading, body in sections.items() if not body] == []
    questions = [line for body in sections.values() for line in body.split("\n") if line.startswith("- **")]
    assert len(questions) == 39  # 3 + 13 + 6 + 6 + 4 + 3 + 4
    assert [line for line in questions if line.endswith("**") or "?**" not in line] == []


def test_counts_are_those_of_the_draw(facts_of, manifest, row_of):
    text = datasheet(facts_of(manifest(), design="A"))
    # two training, two validation and three test images in every cell: the smallest cell's
    assert row_of(text, "m", "x", section=COMPOSITION) == ["m", "x", "2 / 2 / 3", "2 / 2 / 3"]
    assert "16 training, 16 validation and 24 test images" in text
    assert "a sample of the pool's 64 images" in text  # 16 + 8 train, 16 val, 24 test

    text = datasheet(facts_of(manifest(), design="C"))
    # race x profession has 4 + 2 training images a cell; whose they are is left to chance: all six are taken
    assert row_of(text, "m", "x", section=COMPOSITION) == ["m", "x", "4 / 2 / 3", "4 / 2 / 3"]
    assert row_of(text, "f", "y", section=COMPOSITION) == ["f", "y", "2 / 2 / 3", "2 / 2 / 3"]
    assert "every cell of race x profession has the same number, and gender is left as it is" in text


def test_quarantine_is_told_by_reason_and_by_group(facts_of, manifest, row_of):
    text = datasheet(facts_of(manifest()))
    assert "4 of 68 rows are in quarantine" in text
    assert row_of(text, "duplicate") == ["duplicate", "1"]
    assert row_of(text, "empty cell") == ["empty cell", "2"]
    assert row_of(text, "unknown partition") == ["unknown partition", "1"]
    assert row_of(text, "m", "x", section="## Preprocessing") == ["m", "x", "18", "3"]  # 2 (4 + 2 + 3) usable
    assert row_of(text, "unknown", "y") == ["unknown", "y", "0", "1"]


def test_a_cue_gap_is_told_with_what_it_leaves_of_the_contrast(facts_of, manifest):
    facts = replace(facts_of(manifest()), data="synthetic", source="synthetic")
    equal, fainter = datasheet(facts), datasheet(replace(facts, cue_gap=0.6))
    assert "the same contrast (CIELAB lightness) on every skin tone" in equal and "deliberate" not in equal
    assert "cue gap of .6" in fainter and "have .4 of their contrast" in fainter
    assert "The unfairness in these pictures is deliberate." in fainter and "the same contrast" not in fainter


def test_a_manifest_s_provider_is_asked_for_what_nobody_else_knows(facts_of, manifest):
    text = datasheet(facts_of(manifest()))
    for question in ("for what purpose", "who created", "under which licence", "who assigned the labels"):
        assert f"{ASKED}{question}" in text
    assert "read from the data set's column profession" in text and "PROFESSION_GIVEN_AGE" not in text
    assert "Ages are not known." in text


def test_pseudo_professions_are_explained(facts_of, manifest, row_of):
    facts = facts_of(manifest(age="9-Mar"))  # as a spreadsheet writes 3-9
    text = datasheet(replace(facts, pseudo_professions=True, label_seed=7))
    assert "label seed 7" in text and "No label bias" in text
    assert row_of(text, "20-29") == ["20-29", ".15", ".35", ".45", ".05"]
    assert row_of(text, "3-9", section=COMPOSITION) == ["3-9", "16", "16", "24"]
    assert "68 ages that a spreadsheet had turned into dates were repaired" in text


@pytest.mark.parametrize(
    ("bias", "who"),
    [("gender", "women"), ("race", "people labelled Black"), ("intersectional", "women labelled Black")],
)
def test_label_bias_names_whom_it_affects(facts_of, manifest, bias, who):
    facts = facts_of(manifest())
    biased = replace(
        facts,
        biased_races=("Black",),
        pseudo_professions=True,
        label_bias=bias,
        label_bias_strength=0.3,
    )
    sentence = f'With label bias "{bias}" of strength .3: for {who}, P(white\\_collar) is multiplied by .7'
    assert sentence.replace("\\", "") in datasheet(biased)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "The smallest cell decides how many."),
        ({"train_size": "matched"}, "as many training images as in design A, the smallest that can be drawn"),
        ({"train_size": 9}, "at most 9 training images"),
        ({"fraction": 0.5}, "Of these, a share of .5 is kept."),
        ({"imbalance": 2}, "gender has geometric shares with a ratio of 2.0"),
    ],
)
def test_how_the_draw_was_sized(facts_of, manifest, values, said):
    assert said in datasheet(facts_of(manifest(), design="C", **values))


def test_without_pixels_it_says_that_contents_were_not_compared(facts_of, manifest):
    text = datasheet(facts_of(manifest()))
    assert "Contents were not compared." in text and "only labels were read" in text


def test_group_names_cannot_break_a_table(facts_of, manifest, row_of):
    text = datasheet(facts_of(manifest("a|b <i>")))
    assert row_of(text, r"a\|b &lt;i&gt;", "x", section=COMPOSITION)[2] == "2 / 2 / 3"


def test_the_embedded_data_set_shows_nobody(facts_of, manifest):
    text = datasheet(
        replace(facts_of(manifest(age="20")), data="synthetic", source="synthetic", pseudo_professions=True)
    )
    assert "Generated portraits: drawings. No person is shown." in text
    assert text.count(ASKED) == 1 and f"{ASKED}who funded" in text


def test_images_that_were_read_were_compared(facts_of, write_image, write_manifest, tmp_path):
    rows = []
    for number in range(48):
        write_image(tmp_path / f"{number:02d}.png", number)
        cell = {"gender": "mf"[number % 2], "race": "xy"[number // 2 % 2], "age": str(10 * (number // 4 % 2) + 9)}
        rows.append({"image": f"{number:02d}.png", **cell})
    facts = facts_of(write_manifest(rows), design="D", with_pixels=True)
    text = datasheet(facts)
    assert "Quarantine: no row of any group." in text
    assert "Near-duplicates (perceptual hashes that differ in at most 16 of 256 bits)" in text
    assert "sees 32 x 32 pixels" in text
    assert facts.pseudo_professions and "P(profession given age bin):" in text
    for fingerprint in (facts.pool_fingerprint, facts.draw_fingerprint, facts.test_fingerprint):
        assert len(fingerprint) == 16 and fingerprint in text


@pytest.mark.parametrize(
    ("source", "known", "asked"),
    [
        ("utkface", "non-commercial research only", "is this use within these terms?"),
        ("fairface", "CC BY 4.0", "which licences hold for the pictures"),
    ],
)
def test_faces_of_real_people_raise_the_questions_they_raise(facts_of, manifest, source, known, asked):
    facts = replace(facts_of(manifest()), data=f"{source}:/faces", source=source)
    text = datasheet(facts)
    assert known in text and asked in text
    for question in ("did they agree", "on what legal basis", "ethics board", "has anybody looked through"):
        assert question in text
    assert "holds only if the folder that was read has its content unchanged" in text


def test_merged_groups_and_those_left_out_are_told_and_bias_names_races_as_they_were_labelled(facts_of, write_manifest):
    rows = [
        {"image": f"{g}{race}{number}", "gender": g, "race": race, "age": 5 + 10 * (number % 8)}
        for g in ("Male", "Female")
        for race in ("Black", "White", "Asian", "Indian")
        for number in range(80)
    ]
    groups = {"merge": "race:Black+White=both", "exclude": "race:Indian"}
    facts = facts_of(write_manifest(rows), design="D", label_bias="race", **groups)
    text = datasheet(facts)
    assert "By the setting merge, Black and White (race) count as one group, named both." in text
    assert "By the setting exclude, 160 images of Indian (race) were left out" in text
    assert "0 of 480 rows are in quarantine" in text and "for people labelled Black, P(white" in text
    assert set(facts.composition["race"].astype(str)) == {"both", "Asian"}
