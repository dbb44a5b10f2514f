"""Numbers of single maps: by hand, against torch, and by their definitions."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional

from fairprof.metrics import attention

NAMES = ("background", "face", "hair")


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("fields", "size"), [((2, 2), 64), ((7, 7), 224), ((4, 3), 31), ((1, 1), 8)])
def test_enlarged_maps_equal_those_of_torch(fields, size):
    maps = generator().random((3, *fields), dtype=np.float32)
    expected = functional.interpolate(torch.from_numpy(maps)[:, None], (size, size), mode="bilinear")[:, 0]
    np.testing.assert_allclose(attention.enlarged(maps, size), expected, atol=1e-6)


def test_shares_equal_the_sums_over_the_enlarged_map():
    maps = generator(1).random((5, 4, 4))
    masks = generator(2).integers(3, size=(5, 48, 48))
    enlarged = functional.interpolate(torch.from_numpy(maps)[:, None], (48, 48), mode="bilinear")[:, 0].numpy()
    expected = [
        [one[mask == region].sum() / one.sum() for region in range(3)]
        for one, mask in zip(enlarged, masks, strict=True)
    ]
    shares = attention.attention_shares(maps, masks, 3)
    np.testing.assert_allclose(shares, expected, atol=1e-12)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def test_measures_by_hand():
    """One field has all the attention: the left half of two, enlarged to four columns with weights 1, 3/4, 1/4, 0."""
    maps = np.array([[[4.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
    masks = np.array([[[1, 0, 0, 0]]] * 3)
    found = attention.measures(maps, masks, ("background", "face"))
    np.testing.assert_allclose(found["attention_face"], [0.5, 0.25, np.nan])
    np.testing.assert_allclose(found["attention_background"], [0.5, 0.75, np.nan])
    np.testing.assert_allclose(found["density_face"], [2, 1, np.nan])
    np.testing.assert_allclose(found["gini"], [0.5, 0, np.nan], atol=1e-12)
    np.testing.assert_allclose(found["effective_area"], [0.5, 1, np.nan])
    np.testing.assert_allclose(found["strength"], [2, 1, 0])


def test_an_image_without_a_mask_and_a_region_without_pixels_are_undefined():
    maps = np.ones((2, 2, 2))
    masks = np.stack([np.zeros((4, 4), int), np.full((4, 4), 255)])
    found = attention.measures(maps, masks, NAMES)
    np.testing.assert_array_equal(found["attention_background"], [1, np.nan])
    np.testing.assert_array_equal(found["attention_hair"], [0, np.nan])
    np.testing.assert_array_equal(found["density_hair"], [np.nan, np.nan])
    np.testing.assert_array_equal(found["gini"], [0, 0])


def test_gini_and_effective_area_equal_their_definitions():
    maps = generator(3).exponential(size=(4, 5, 5))
    for row, one in enumerate(maps.reshape(4, -1)):
        differences = np.abs(one[:, None] - one).sum() / (2 * len(one) ** 2 * one.mean())
        assert attention.gini(maps)[row] == pytest.approx(differences)
        entropy = stats.entropy(one)
        assert attention.effective_area(maps)[row] == pytest.approx(np.exp(entropy) / 25)


def test_numbers_do_not_depend_on_the_scale_of_a_map_but_for_its_strength():
    maps, masks = generator(4).random((6, 3, 3)), generator(5).integers(3, size=(6, 12, 12))
    one, other = (attention.measures(scale * maps, masks, NAMES) for scale in (1, 7.5))
    np.testing.assert_allclose(one.drop(columns="strength"), other.drop(columns="strength"))
    np.testing.assert_allclose(other["strength"], 7.5 * one["strength"])
