"""docs/settings.md is made from the settings, and says what each may be."""

import re

import pytest

from fairprof.documents.settings import ENTRY_POINTS, settings_page
from tests.places import ROOT

PAGE = settings_page()
SECTIONS = dict(zip(ENTRY_POINTS, PAGE.split("\n## ")[1:], strict=False))


def test_the_committed_page_is_the_one_that_is_made():
    remedy = "python -m fairprof.documents.settings > docs/settings.md"
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == PAGE, remedy


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_setting_of_an_entry_point_is_named_once(name):
    table, _, others = SECTIONS[name].partition("And, as for `main`: ")
    named = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) + re.findall(r"`(\w+)`", others)
    assert sorted(named) == sorted(ENTRY_POINTS[name].model_fields)


@pytest.mark.parametrize(
    ("entry_point", "row"),
    [
        ("main", "| `label_smoothing` | `0.1` | number from 0 under 1 | label smoothing of the loss | shared |"),
        (
            "main",
            "| `fraction` | `1.0` | number over 0 to 1 | share of the draw's training images that is kept | run |",
        ),
        ("main", "| `accelerator` | `auto` | `auto`, `cpu`, `gpu` | where the network runs | machine |"),
        ("main", "| `gradcam_images` | `240` | whole number from 1 | test images whose Grad-CAM is computed for"),
        ("main", "| `imbalance` | `natural` | `natural` or number from 1 to 1,000 | largest to smallest group on"),
        ("main", "| `compile` | `False` | `true` or `false` | compile the trained part of the network"),
        ("study", "| `experiments` | `A,B,C,D` | text | designs, separated by commas | run |"),
        ("explain", "| `gradcam_images` | `240` | whole number from 8 | test images, balanced over the groups"),
    ],
)
def test_a_row_says_default_bounds_meaning_and_what_is_identified(entry_point, row):
    assert f"\n{row}" in SECTIONS[entry_point]


def test_search_laws_are_told():
    laws = PAGE.partition("## What `tune` searches")[2]
    assert "| `batch_size` | one of 16, 32, 64, 128 |" in laws
    assert "| `weight_decay` | 1e-06 to 0.1, uniform in the logarithm |" in laws
    assert "| `mixup_alpha` | 0 to 0.8, uniform |" in laws
