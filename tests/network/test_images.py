"""What enters a network: centre crops as they are served, and augmented views that depend on what they should alone."""

import dataclasses

import numpy as np
import pytest
import torch

from fairprof.data.pixels import StreamedPixels
from fairprof.data.pool import Pool, load_pool
from fairprof.network.images import ImageInputs
from fairprof.serving import IMAGENET

SIZE = 32
LOWEST, HIGHEST = (0 - 0.485) / 0.229, (1 - 0.406) / 0.225  # of any normalised channel
ALL = np.arange(40)


def inputs_of(pool: Pool, views: int | None = None, seed: int = 0) -> ImageInputs:
    return ImageInputs(pool, SIZE, views, seed)


def count_equal(images: torch.Tensor, others: torch.Tensor) -> int:
    return sum(torch.equal(image, other) for image, other in zip(images, others, strict=True))


@pytest.mark.parametrize("views", [None, 4])
def test_images_have_the_promised_form(views, forty_faces):
    inputs = inputs_of(forty_faces, views)
    assert inputs.boundary is None  # they enter at the front
    for images in (inputs.training(ALL, 0), inputs.evaluation(ALL)):
        assert images.shape == (40, 3, SIZE, SIZE) and images.dtype == torch.float32
        assert LOWEST - 1e-4 <= images.min() and images.max() <= HIGHEST + 1e-4
        assert images.min() < -0.5 and images.max() > 0.5


@pytest.mark.parametrize("views", [None, 4])
def test_no_rows_are_no_images(views, forty_faces):
    """A process may have no image of a small last batch."""
    inputs, nothing = inputs_of(forty_faces, views), np.empty(0, dtype=int)
    assert inputs.training(nothing, 0).shape == inputs.evaluation(nothing).shape == (0, 3, SIZE, SIZE)


# --- evaluation -------------------------------------------------------------------------------------------------


def test_evaluation_images_are_the_normalised_centres_in_the_order_of_the_rows(forty_faces):
    rows = np.array([7, 3, 39, 3])
    images = inputs_of(forty_faces).evaluation(rows)
    stored = forty_faces.pixels.array[forty_faces.table["pixel"].iloc[rows]]
    centres = stored[:, 2:34, 2:34] / 255  # 37 pixels are stored
    expected = (centres - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(images.movedim(1, -1).numpy(), expected, atol=1e-6)
    assert torch.equal(images, IMAGENET.evaluation_input(stored, SIZE))  # what is served


# --- a new view every epoch -------------------------------------------------------------------------------------


def test_an_unlimited_view_depends_on_seed_epoch_and_row_alone(forty_faces):
    first = inputs_of(forty_faces).training(ALL, 0)
    torch.manual_seed(99)
    order = np.random.default_rng(0).permutation(40)
    assert torch.equal(inputs_of(forty_faces).training(order, 0), first[order])
    some = np.array([30, 4, 17, 9])
    assert torch.equal(inputs_of(forty_faces).training(some, 0), first[some])
    for other in (inputs_of(forty_faces).training(ALL, 1), inputs_of(forty_faces, seed=1).training(ALL, 0)):
        assert count_equal(other, first) < 4


def test_unlimited_views_of_one_image_differ_in_every_epoch(forty_faces):
    inputs = inputs_of(forty_faces)
    epochs = [inputs.training(ALL, epoch) for epoch in range(12)]
    different = [len({images[row].numpy().tobytes() for images in epochs}) for row in ALL]
    # of 37 pixels there are not many crops: two epochs may take the same one by chance
    assert min(different) > 6 and np.mean(different) > 11


# --- numbered views ---------------------------------------------------------------------------------------------


def with_table(pool: Pool, rows: np.ndarray) -> Pool:
    """The pool as if it had these rows alone, in this order."""
    return dataclasses.replace(pool, table=pool.table.iloc[rows].reset_index(drop=True))


def test_a_numbered_view_depends_on_image_and_number_alone(forty_faces):
    first = inputs_of(forty_faces, views=4).view(ALL, np.full(40, 2))
    torch.manual_seed(99)
    assert torch.equal(inputs_of(forty_faces, views=4, seed=7).view(ALL, np.full(40, 2)), first)
    assert torch.equal(inputs_of(forty_faces, views=1000).view(ALL, np.full(40, 2)), first)
    fewer = inputs_of(with_table(forty_faces, np.array([30, 4])), views=4)
    assert torch.equal(fewer.view(np.array([8, 3]), np.array([2, 2])), first[[8, 3]])
    assert count_equal(inputs_of(forty_faces, views=4).view(ALL, np.full(40, 3)), first) < 4


def test_two_designs_and_seeds_train_on_the_same_views_of_an_image(forty_faces):
    """Every view of an image that any epoch takes is one of its numbered views, whatever row of a table it is."""
    rows = np.array([30, 4, 17])
    for pool, own_rows, seed in ((forty_faces, rows, 0), (with_table(forty_faces, rows), np.arange(3), 5)):
        inputs = inputs_of(pool, views=3, seed=seed)
        for place, row in enumerate(rows):
            pixel = np.repeat(forty_faces.table["pixel"].to_numpy()[row], 3)
            numbered = {view.numpy().tobytes() for view in inputs_of(forty_faces, views=3).view(pixel, np.arange(3))}
            taken = {inputs.training(own_rows[[place]], epoch).numpy().tobytes() for epoch in range(3)}
            assert taken == {np.array(view).tobytes() for view in numbered} and len(taken) == 3


@pytest.mark.parametrize("views", [1, 4, 5])
def test_epochs_take_the_views_of_every_image_in_turn(views, forty_faces):
    inputs = inputs_of(forty_faces, views)
    numbers = np.stack([inputs.view_numbers(ALL, epoch) for epoch in range(2 * views)])
    assert (np.sort(numbers[:views], axis=0) == np.arange(views)[:, None]).all()  # all of them, once each
    assert (numbers[views:] == numbers[:views]).all()
    assert ((numbers[1:] - numbers[:-1]) % views == 1 % views).all()
    # every epoch sees all views, each on its share of the images
    assert all((np.bincount(epoch, minlength=views) == 40 // views).all() for epoch in numbers)


def test_the_seed_says_which_view_comes_first(forty_faces):
    first = {seed: inputs_of(forty_faces, 4, seed).view_numbers(np.array([6]), 0).item() for seed in range(4)}
    assert sorted(first.values()) == [0, 1, 2, 3]


def test_training_gives_the_views_whose_numbers_it_says(forty_faces):
    inputs = inputs_of(forty_faces, views=3, seed=1)
    rows = np.array([12, 0, 39, 20])
    for epoch in range(4):
        expected = inputs.view(forty_faces.table["pixel"].to_numpy()[rows], inputs.view_numbers(rows, epoch))
        assert torch.equal(inputs.training(rows, epoch), expected)
    assert torch.equal(inputs.training(rows, 3), inputs.training(rows, 0))
    assert count_equal(inputs.training(rows, 1), inputs.training(rows, 0)) == 0


# --- augmentation -----------------------------------------------------------------------------------------------


def test_augmentation_leaves_the_global_generators_as_they_were(forty_faces):
    torch.manual_seed(5)
    np.random.seed(5)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for views in (None, 4):
        inputs_of(forty_faces, views).training(ALL[:3], 0)
    assert torch.equal(torch.get_rng_state(), before) and (np.random.get_state()[1] == numpy_before).all()


@pytest.mark.parametrize("views", [None, 5])
def test_augmentation_keeps_the_picture_recognisable_and_flips_half_of_them(views, forty_faces):
    inputs = inputs_of(forty_faces, views)
    plain = inputs.evaluation(ALL)
    straight, flipped = 0, 0
    for epoch in range(5):
        for image, centre in zip(inputs.training(ALL, epoch), plain, strict=True):
            as_is, mirrored = (
                torch.corrcoef(torch.stack([image.flatten(), picture.flatten()]))[0, 1]
                for picture in (centre, centre.flip(-1))
            )
            straight, flipped = straight + bool(as_is > mirrored), flipped + bool(mirrored > as_is)
            assert max(as_is, mirrored) > 0.4
    assert 70 <= flipped <= 130 and straight + flipped == 200  # 100 +- 4 deviations of 7


# --- pixels that no cache holds ---------------------------------------------------------------------------------


def test_streamed_pixels_make_the_same_images(forty_faces, tmp_path, make_settings):
    settings = make_settings(
        data=f"manifest:{tmp_path / 'faces.csv'}", image_size=SIZE, cache_dir=str(tmp_path / "small"), cache_gib=1e-5
    )
    streamed = load_pool(settings, settings.image_size)
    assert isinstance(streamed.pixels.array, StreamedPixels)
    assert not isinstance(forty_faces.pixels.array, StreamedPixels)
    rows = np.array([7, 3, 39, 3])
    assert torch.equal(inputs_of(streamed).evaluation(rows), inputs_of(forty_faces).evaluation(rows))
    for views in (None, 4):
        kept, anew = inputs_of(forty_faces, views), inputs_of(streamed, views)
        assert torch.equal(anew.training(rows, 1), kept.training(rows, 1))
