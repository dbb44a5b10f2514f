"""What cannot be drawn is told with the change of settings with which it can, as it is typed."""

import re
import shlex
from itertools import product

import pytest

from fairprof.config import Settings, StudySettings, TuneSettings
from fairprof.data.drawable import obstacles, require_drawable
from fairprof.data.pool import load_pool, screened_rows
from fairprof.errors import UserError


@pytest.fixture
def data(write_manifest):
    """A manifest with 10 images in every cell but for those that are named: gender, race, profession to count."""

    def write(races: str = "wxyz", professions: tuple[str, ...] = ("cook", "nurse"), **counts: int) -> str:
        return write_manifest(
            [
                {"image": f"{g}{race}{profession}{number}", "gender": g, "race": race, "profession": profession}
                for g, race, profession in product("mf", races, professions)
                for number in range(counts.get(f"{g}_{race}_{profession}", 10))
            ]
        )

    return write


def answer(settings) -> str:
    """What is said of settings that cannot be drawn; empty where they can."""
    try:
        require_drawable(settings, load_pool(settings, None), lambda: screened_rows(settings, None))
    except UserError as error:
        return str(error)
    return ""


def changed(settings, said: str):
    """The settings with what a message says to type."""
    words = shlex.split(re.search(r"with (-P .*) all that", said)[1])
    return type(settings)(**settings.model_dump() | dict(word.split("=", 1) for word in words if word != "-P"))


@pytest.mark.parametrize(
    ("counts", "settings", "cell", "typed"),
    [
        # the smallest two races together
        ({"m_z_cook": 1, "f_y_nurse": 6}, {}, "m x z x cook, has 0 there and 1 in all", "-P merge=race:z+y"),
        # z is not the smallest: it is merged with y, which is
        (
            {"m_z_cook": 1} | {f"{g}_y_{p}": 4 for g, p in product("mf", ("cook", "nurse"))},
            {},
            "m x z x cook, has 0 there and 1 in all",
            "-P merge=race:y+z",
        ),
        # nobody is a nurse among y, z and x: these three
        ({f"f_{race}_nurse": 0 for race in "xyz"}, {"train_size": "natural"}, "has 0 there and 0 in all", None),
        # no woman is a nurse: but for D, which does not balance professions, nothing can be drawn
        ({f"f_{race}_nurse": 0 for race in "wxyz"}, {}, "f x w x nurse, has 0", "-P experiment=C"),
        ({}, {"train_size": 113}, "train_size=113: design A can take at most 112", "-P train_size=112"),
        ({}, {"train_size": 15}, "no image would be left", "-P train_size=16"),
        ({}, {"fraction": 0.1}, "no image would be left", "-P fraction=1"),
        ({}, {"imbalance": 2}, "design A leaves no axis natural", "-P imbalance=natural"),
        ({}, {"experiment": "B", "imbalance": 64}, "no image would be left", "-P imbalance=natural"),
    ],
)
def test_a_run_is_refused_with_the_cell_its_counts_and_what_helps(data, make_settings, counts, settings, cell, typed):
    asked = make_settings(data=data(**counts), **settings)
    said = answer(asked)
    assert cell in said and "nothing was trained" in said and "\n" not in said
    assert typed is None or f"with {typed} all" in said
    assert answer(changed(asked, said)) == ""


def test_what_can_be_drawn_is_not_refused_and_nothing_is_read_again(data, make_settings):
    settings = make_settings(data=data())
    require_drawable(settings, load_pool(settings, None), lambda: pytest.fail("rows were read again"))


def test_merges_that_there_are_are_kept_and_grow(data, make_settings):
    counts = {f"{g}_{race}_{p}": 1 for g, race, p in product("mf", "yz", ("cook", "nurse"))} | {"m_x_cook": 1}
    asked = make_settings(data=data(races="vwxyz", **counts), merge="race:y+z=few")
    said = answer(asked)
    assert changed(asked, said).merge == "race:y+z+x" and answer(changed(asked, said)) == ""


def test_names_that_need_quotes_can_be_typed_as_they_stand(write_manifest, make_settings):
    rows = [
        {"image": f"{g}{race}{p}{number}", "gender": g, "race": race, "profession": p}
        for g, race, p in product("mf", ("a, b", 'c "d"', "e's"), "pq")
        for number in range(1 if race == "a, b" else 12 if race == "e's" else 10)
    ]
    asked = make_settings(data=write_manifest(rows))
    said = answer(asked)
    assert changed(asked, said).merges()[0].groups == ("a, b", 'c "d"') and answer(changed(asked, said)) == ""


def test_every_reason_of_a_study_is_told_once_and_one_change_is_enough(data):
    """A lacks a cell in every arm and seed; 400 images no design has; a tenth of A's is less than one a cell."""
    study = StudySettings(data=data(m_z_cook=1), seeds="6", train_size="matched,natural,400", fractions="1,0.1")
    said = answer(study)
    assert said.count("design A: empty cell") == 1
    assert all(f"train_size=400: design {name} can take at most" in said for name in "BCD")
    assert answer(changed(study, said)) == "" and changed(study, said).experiments == "A,B,C,D"


def test_a_study_without_its_reference_is_one_that_was_asked_for(data):
    """With two races of which none can go, A is what cannot be drawn; B, C and D are as large as C then."""
    study = StudySettings(data=data(races="xy", m_y_cook=1))
    said = answer(study)
    assert said.endswith("with -P experiments=B,C,D all that is asked for can be drawn, without the reference A")
    assert answer(changed(study, said)) == ""


def test_a_search_is_refused_before_its_first_trial(data):
    search = TuneSettings(data=data(), train_size=1000)
    said = answer(search)
    assert "train_size=1000: design A" in said and answer(changed(search, said)) == ""


def test_where_nothing_helps_images_do(write_manifest, make_settings):
    rows = [
        {"image": f"{g}{race}{p}", "gender": g, "race": race, "profession": p, "partition": partition}
        for g, race, p, partition in product("mf", "xy", "pq", ("test",))
    ]
    settings = make_settings(data=write_manifest(rows))
    assert answer(settings).endswith("add such images, for no change of these settings alone helps")
    assert len(obstacles(Settings(data=settings.data), load_pool(settings, None))) == 1
