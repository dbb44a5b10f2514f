"""Batches: every image depends on seed, epoch and row alone, orders can be resumed, MixUp is as defined."""

import numpy as np
import pytest
import torch

from fairprof.data.images import EpochOrder, evaluation_batches, mixup, training_batches
from fairprof.data.pool import load_pool

SIZE = 32
LOWEST, HIGHEST = (0 - 0.485) / 0.229, (1 - 0.406) / 0.225  # of any normalised channel


@pytest.fixture
def pool(tmp_path, write_image, write_manifest, make_settings):
    rows = []
    for number in range(40):
        write_image(tmp_path / f"{number:02d}.png", number)
        rows.append(
            {
                "image": f"{number:02d}.png",
                "gender": "mf"[number % 2],
                "race": "xy"[number // 2 % 2],
                "profession": "abc"[number % 3],
            }
        )
    return load_pool(make_settings(data=write_manifest(rows[::-1]), image_size=SIZE))


def by_row(batches) -> dict[int, tuple[torch.Tensor, int]]:
    return {
        int(row): (image, int(label))
        for images, labels, rows in batches
        for image, label, row in zip(images, labels, rows, strict=True)
    }


def train(pool, rows=None, batch_size=8, seed=0, epoch=0, workers=0):
    rows = np.arange(len(pool.table)) if rows is None else np.asarray(rows)
    return training_batches(pool, rows, SIZE, batch_size, seed, epoch, workers)


def test_batches_have_the_promised_form(pool):
    for batches in (train(pool), evaluation_batches(pool, np.arange(40), SIZE)):
        for images, labels, rows in batches:
            assert images.shape == (len(rows), 3, SIZE, SIZE) and images.dtype == torch.float32
            assert labels.dtype == rows.dtype == torch.int64
            assert LOWEST - 1e-4 <= images.min() and images.max() <= HIGHEST + 1e-4
            assert images.min() < -0.5 and images.max() > 0.5
            assert labels.tolist() == pool.table["profession"].cat.codes.iloc[rows.numpy()].tolist()


def test_evaluation_images_are_the_normalised_centres_in_the_order_of_the_rows(pool):
    rows = np.array([7, 3, 39, 3])
    ((images, labels, got),) = evaluation_batches(pool, rows, SIZE)
    assert got.tolist() == rows.tolist()
    stored = pool.pixels.array[pool.table["pixel"].iloc[rows]][:, 2:34, 2:34] / 255  # 37 pixels are stored
    expected = (stored - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(images.movedim(1, -1).numpy(), expected, atol=1e-6)


def test_an_augmented_image_depends_on_seed_epoch_and_row_alone(pool):
    first = by_row(train(pool))
    torch.manual_seed(99)
    again = by_row(train(pool, batch_size=5))
    part = by_row(train(pool, rows=[30, 4, 17, 9]))
    for row, (image, label) in first.items():
        assert torch.equal(again[row][0], image) and again[row][1] == label
        assert row not in part or torch.equal(part[row][0], image)
    assert set(part) == {4, 9, 17, 30}
    for other in (by_row(train(pool, epoch=1)), by_row(train(pool, seed=1))):
        assert sum(torch.equal(other[row][0], image) for row, (image, _) in first.items()) < 4


def test_workers_make_the_same_batches(pool):
    for (images, labels, rows), (others, other_labels, other_rows) in zip(
        train(pool, epoch=2), train(pool, epoch=2, workers=2), strict=True
    ):
        assert torch.equal(images, others) and torch.equal(labels, other_labels) and torch.equal(rows, other_rows)


def test_augmentation_leaves_the_global_generators_as_they_were(pool):
    torch.manual_seed(5)
    np.random.seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    dataset = train(pool).dataset
    dataset[0, 3]
    assert torch.equal(torch.get_rng_state(), before) and (np.random.get_state()[1] == numpy_before).all()


def test_augmentation_keeps_the_picture_recognisable_and_flips_half_of_them(pool):
    plain = by_row(evaluation_batches(pool, np.arange(40), SIZE))
    straight, flipped = 0, 0
    for epoch in range(5):
        for row, (image, _) in by_row(train(pool, epoch=epoch)).items():
            as_is, mirrored = (
                torch.corrcoef(torch.stack([image.flatten(), picture.flatten()]))[0, 1]
                for picture in (plain[row][0], plain[row][0].flip(-1))
            )
            straight, flipped = straight + bool(as_is > mirrored), flipped + bool(mirrored > as_is)
            assert max(as_is, mirrored) > 0.4
    assert 70 <= flipped <= 130 and straight + flipped == 200  # 100 +- 4 deviations of 7


def test_every_epoch_is_a_permutation_that_can_be_resumed():
    order = EpochOrder(50, seed=3)
    epochs = []
    for epoch in range(4):
        order.set_epoch(epoch)
        keys = list(order)
        assert [key[0] for key in keys] == [epoch] * 50 and sorted(key[1] for key in keys) == list(range(50))
        assert list(order) == keys and len(order) == 50
        epochs.append([key[1] for key in keys])
    assert len({tuple(places) for places in epochs}) == 4
    resumed = EpochOrder(50, seed=3)
    resumed.set_epoch(2)
    assert [place for _, place in resumed] == epochs[2]
    other = EpochOrder(50, seed=4)
    other.set_epoch(2)
    assert [place for _, place in other] != epochs[2]


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(16, 8, [8, 8]), (18, 8, [8, 8, 2]), (17, 8, [8, 8]), (9, 8, [8]), (8, 8, [8]), (5, 8, [5]), (1, 8, [1])],
)
def test_only_a_last_batch_of_one_image_is_left_out_and_never_the_only_one(pool, count, batch_size, sizes):
    batches = train(pool, rows=np.arange(count), batch_size=batch_size)
    assert [len(rows) for _, _, rows in batches] == sizes and len(batches) == len(sizes)


def test_mixup_is_worked_by_hand(pool):
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    twin = np.random.default_rng(11)
    assert twin.random() < 0.9
    share, partners = twin.beta(0.4, 0.4), twin.permutation(4)
    mixed, got_partners, got_share = mixup(images, 0.4, 0.9, np.random.default_rng(11))
    assert got_share == share and got_partners.tolist() == partners.tolist() and got_partners.dtype == torch.int64
    for image in range(4):
        expected = share * image + (1 - share) * partners[image]
        torch.testing.assert_close(mixed[image], torch.full((3, 2, 2), expected))


@pytest.mark.parametrize(("alpha", "probability"), [(0.0, 1.0), (0.2, 0.0)])
def test_without_mixup_images_stay_as_they_are_with_share_one(alpha, probability):
    images = torch.rand(5, 3, 2, 2)
    for seed in range(20):
        mixed, partners, share = mixup(images, alpha, probability, np.random.default_rng(seed))
        assert share == 1.0 and torch.equal(mixed, images) and sorted(partners.tolist()) == list(range(5))


def test_mixup_mixes_its_share_of_the_batches_and_shares_are_symmetric():
    generator = np.random.default_rng(0)
    images = torch.zeros(2, 3, 1, 1)
    shares = np.array([mixup(images, 0.2, 0.5, generator)[2] for _ in range(2000)])
    assert (shares < 1).mean() == pytest.approx(0.5, abs=0.05)
    assert shares[shares < 1].mean() == pytest.approx(0.5, abs=0.06)
    assert shares.min() >= 0 and shares.max() <= 1
