"""Identifiers as a reader sees them."""

import pytest

from fairprof.metrics.fairness import ATTRIBUTES, DIFFERENCES, SCORES
from fairprof.reporting.names import (
    CLASS_NAMES,
    GAP_NAMES,
    SCORE_NAMES,
    VERDICT_NAMES,
    backbone_titles,
    gap_name,
    metric_name,
    name_of,
    short_gap_name,
)


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("macro_f1", "macro-F1"),
        ("gender_x_race", "gender x race"),
        ("race", "race"),
        ("insufficient_evidence", "insufficient evidence"),
        ("not_established", "not established"),
        ("max_over_classes", "largest over classes"),
        ("worst_group_accuracy", "worst group accuracy"),
    ],
)
def test_names_of_identifiers(identifier, name):
    assert name_of(identifier) == name


@pytest.mark.parametrize("names", [SCORE_NAMES, GAP_NAMES, CLASS_NAMES, VERDICT_NAMES])
def test_every_name_is_the_same_wherever_it_is_looked_up(names):
    assert {identifier: name_of(identifier) for identifier in names} == names


def test_every_score_and_gap_has_a_name():
    assert tuple(SCORE_NAMES) == tuple(SCORES) and tuple(GAP_NAMES) == tuple(DIFFERENCES)


def test_names_of_gaps_and_metrics():
    assert gap_name("equal_opportunity_difference", "gender_x_race") == "equal opportunity difference by gender x race"
    assert [short_gap_name("demographic_parity_difference", attribute) for attribute in ATTRIBUTES] == [
        *("DP by gender", "DP by race", "DP by gender x race")
    ]
    assert metric_name("val/macro_f1") == "validation macro-F1"
    assert metric_name("equal_opportunity_difference/race") == "equal opportunity difference by race"
    assert metric_name("val/worst_group_accuracy/gender_x_race") == "validation worst group accuracy by gender x race"
    assert metric_name("train/loss") == "training loss"


@pytest.mark.parametrize(
    ("backbones", "titles"),
    [
        (["resnet50@imagenet"], ["resnet50"]),
        (
            ["resnet50@imagenet", "timm:vit_tiny_patch16_224.augreg_in21k@pretrained"],
            ["resnet50", "vit_tiny_patch16_224"],
        ),
        (["resnet50@imagenet", "resnet50@random", "vgg11@random"], ["resnet50@imagenet", "resnet50@random", "vgg11"]),
        (["timm:vit.mae@pretrained", "timm:vit.dino@pretrained"], ["vit.mae", "vit.dino"]),
        (["timm:vit.mae@pretrained", "timm:vit.mae@random"], ["vit@pretrained", "vit@random"]),
        (["timm:resnet50@random", "resnet50@random"], ["timm:resnet50@random", "resnet50@random"]),
    ],
)
def test_backbones_have_the_shortest_titles_that_tell_them_apart(backbones, titles):
    assert backbone_titles(backbones) == dict(zip(backbones, titles, strict=True))
