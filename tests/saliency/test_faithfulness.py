"""Faithfulness on a network whose reasons are known, and the imputation against pytorch-grad-cam's."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from scipy.ndimage import gaussian_filter
from torch import nn

from fairprof.saliency import faithfulness as module
from fairprof.saliency.faithfulness import SCORES, faithfulness, imputed, random_maps, removal_ranks

SIZE = 32
NAMES = np.array([f"{number}.png" for number in range(6)])
CLASSES = np.array([0, 1, 0, 1, 0, 1])


class Corner(nn.Module):
    """Knows its class by the brightness of the upper left quarter alone: bright is class 0."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        brightness = self.scale * images[:, :, : SIZE // 2, : SIZE // 2].mean(dim=(1, 2, 3))
        return torch.stack([brightness, -brightness], dim=1)


def pictures(count: int = len(NAMES), size: int = SIZE) -> torch.Tensor:
    generator = np.random.default_rng(0)
    smooth = gaussian_filter(generator.normal(size=(count, 3, size, size)), (0, 0, size / 20, size / 20))
    return torch.from_numpy(smooth / smooth.std()).float()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """The corner is bright in images of class 0 and dark in those of class 1."""
    corner = torch.zeros(len(NAMES), 1, SIZE, SIZE)
    corner[:, :, : SIZE // 2, : SIZE // 2] = torch.tensor([1.0, -1.0] * 3)[:, None, None, None]
    return 0.3 * pictures() + corner


def maps_of(marked: tuple[int, int]) -> np.ndarray:
    maps = np.full((len(NAMES), 2, 2), 0.01, dtype=np.float32)
    maps[:, marked[0], marked[1]] = 1.0
    return maps


def scores(maps, images, seed=0, network=None):
    return faithfulness({"m": network or Corner()}, images, maps, {"m": CLASSES}, NAMES, seed, "test")["m"]


def test_a_map_of_the_true_reason_beats_one_of_another_place_and_random_ones_lie_between(images):
    right, wrong = scores(maps_of((0, 0)), images).mean(), scores(maps_of((1, 1)), images).mean()
    chance = scores(random_maps((2, 2), NAMES, 0), images).mean()
    assert right["road"] > chance["road"] + 0.05 > wrong["road"] + 0.05
    assert right["deletion"] < chance["deletion"] < wrong["deletion"]
    assert right["insertion"] > chance["insertion"] > wrong["insertion"]


def test_deletion_and_insertion_of_a_linear_reason_have_their_closed_form(images):
    """The corner goes first; what is left of its brightness decides."""
    ranks = removal_ranks(maps_of((0, 0)), SIZE, NAMES, 0)
    corner = images[:, :, : SIZE // 2, : SIZE // 2].mean(dim=1).numpy()
    network_scale, shares = 3.0, np.linspace(0, 1, 11)
    kept = [(ranks[:, : SIZE // 2, : SIZE // 2] >= share) * corner for share in shares]
    brightness = np.stack([part.mean(axis=(1, 2)) for part in kept]) * np.where(CLASSES == 0, 1, -1)
    expected = np.trapezoid(1 / (1 + np.exp(-2 * network_scale * brightness)), shares, axis=0)
    np.testing.assert_allclose(scores(maps_of((0, 0)), images)["deletion"], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")  # in the library's imputation
def test_road_equals_that_of_pytorch_grad_cam_at_the_same_percentiles(images):
    """Without ties in the map, and but for the noise of the imputation."""
    maps = np.random.default_rng(1).random((len(NAMES), SIZE, SIZE)).astype(np.float32)
    maps = np.stack([gaussian_filter(one, 3) for one in maps])
    maps -= maps.min()
    library = ROADCombined(percentiles=list(module.PERCENTILES))
    targets = [ClassifierOutputSoftmaxTarget(int(number)) for number in CLASSES]
    expected = library(images, maps, targets, Corner())
    found = scores(maps, images)["road"]
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")  # in the library's imputation
@pytest.mark.parametrize("share", [0.2, 0.8])
@pytest.mark.parametrize("size", [33, 64])
def test_imputed_pixels_equal_those_of_pytorch_grad_cam(share, size):
    images = pictures(3, size)
    known = torch.from_numpy(removal_ranks(np.random.default_rng(2).random((3, 2, 2)), size, NAMES[:3], 0)) >= share
    found = imputed(images, known, torch.zeros_like(images))
    for one, kept, result in zip(images, known, found, strict=True):
        expected = NoisyLinearImputer(noise=0)(one, kept.float())
        torch.testing.assert_close(result, expected, atol=3 * module.NOISE, rtol=0)
        assert (result - expected).abs().mean() < module.NOISE / 2
        assert torch.equal(result[:, kept], one[:, kept])


def test_the_noise_of_the_imputation_is_on_removed_pixels_only():
    images, noise = pictures(2), torch.ones(2, 3, SIZE, SIZE)
    known = torch.ones(2, SIZE, SIZE, dtype=torch.bool)
    known[:, 8:12, 8:12] = False
    without = imputed(images, known, torch.zeros_like(noise))
    added = imputed(images, known, noise) - without
    torch.testing.assert_close(added, (~known)[:, None].expand_as(added).float())


def test_exactly_the_share_that_is_meant_is_removed_whatever_the_ties():
    maps = np.zeros((2, 2, 2))
    maps[1] = 1.0  # one tie over the whole image
    maps[0, 0, 0] = 1.0
    ranks = removal_ranks(maps, SIZE, NAMES[:2], 0)
    for share in (0.1, 0.5, 0.9):
        assert np.allclose((ranks < share).mean(axis=(1, 2)), share, atol=1 / SIZE)
    assert ranks[0, 0, 0] < 0.1 < 0.5 < ranks[0, -1, -1]
    np.testing.assert_array_equal(np.sort(ranks[1].ravel()), np.sort(ranks[0].ravel()))


def test_a_map_of_zeros_is_undefined_and_changes_no_other(images):
    maps = maps_of((0, 0))
    expected = scores(maps, images)
    maps[2] = 0
    found = scores(maps, images)
    assert found.loc[2].isna().all() and not found.drop(2).isna().any(axis=None)
    np.testing.assert_allclose(found.drop(2), expected.drop(2), atol=1e-5)


def test_scores_depend_on_image_and_seed_not_on_the_batch_or_the_company_of_networks(images, monkeypatch):
    maps = random_maps((2, 2), NAMES, 0)
    expected = scores(maps, images)
    monkeypatch.setattr(module, "BATCH", 4)
    np.testing.assert_allclose(scores(maps, images), expected, atol=1e-4)
    order = np.array([3, 1, 5, 0, 2, 4])
    networks = {"m": Corner(), "other": Corner()}
    shuffled = faithfulness(
        networks, images[order], maps[order], dict.fromkeys(networks, CLASSES[order]), NAMES[order], 0, "test"
    )
    for table in shuffled.values():
        np.testing.assert_allclose(table, expected.iloc[order], atol=1e-4)
    assert list(expected.columns) == list(SCORES)
    assert (random_maps((2, 2), NAMES, 1) != maps).all()
