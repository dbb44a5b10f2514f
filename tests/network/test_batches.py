"""Batches: orders can be resumed, MixUp is as defined, and processes share a batch without remainder."""

import os

import numpy as np
import pytest
import torch

from fairprof.config import Settings
from fairprof.data.pool import Pool
from fairprof.mitigation.rows import GroupedRows
from fairprof.network.batches import (
    EVALUATION_BATCH,
    BatchPlan,
    InputsOfRows,
    TrainingBatch,
    TrainingPlan,
    evaluation_batches,
    training_batches,
    worker_count,
)
from fairprof.network.images import ImageInputs
from fairprof.network.mixup import mixup
from fairprof.runtime.processes import ALONE, Processes

ALL = np.arange(40)


def settings_of(**values) -> Settings:
    return Settings(**{"batch_size": 8, "image_size": 32, "accelerator": "cpu", **values})


def images_of(pool: Pool, settings: Settings) -> ImageInputs:
    return ImageInputs(pool, settings.image_size, settings.view_count(), settings.seed)


def batches_of(
    pool: Pool, rows: np.ndarray = ALL, epoch: int = 0, processes: Processes = ALONE, **values
) -> list[TrainingBatch]:
    settings = settings_of(**values)
    return list(
        training_batches(
            pool, GroupedRows.of(pool, rows, "race"), images_of(pool, settings), settings, epoch, processes
        )
    )


def rows_of(length: int) -> GroupedRows:
    """So many rows, all of one class and group."""
    codes = np.zeros(length, dtype=np.int64)
    return GroupedRows(np.arange(length), codes, codes, 1, ("all",))


def plans_of(length: int, epoch: int = 0, processes: Processes = ALONE, **values) -> list[BatchPlan]:
    return list(TrainingPlan(rows_of(length), settings_of(**values), epoch, processes))


def places_in_order(plans: list[BatchPlan]) -> list[int]:
    return [int(place) for plan in plans for place in plan.places[plan.own]]


def assert_same_batches(batches: list[TrainingBatch], others: list[TrainingBatch]) -> None:
    for batch, other in zip(batches, others, strict=True):
        for value, other_value in zip(batch, other, strict=True):
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(other_value))


# --- what a batch holds -----------------------------------------------------------------------------------------


def test_training_batches_have_the_promised_form(forty_faces):
    batches = batches_of(forty_faces, mixup_alpha=0.4, mixup_probability=1.0)
    assert len(batches) == 5
    for batch in batches:
        assert batch.inputs.shape == (8, 3, 32, 32) and batch.inputs.dtype == torch.float32
        assert batch.classes.shape == batch.own.shape == batch.partners.shape == (8,)
        assert batch.classes.dtype == batch.own.dtype == batch.partners.dtype == torch.int64
        assert 0 < batch.share < 1 and (batch.first, batch.size) == (0, 8)


def test_training_images_of_a_batch_are_those_of_its_rows_with_their_classes(forty_faces):
    rows = np.array([30, 4, 17, 9, 22, 11])
    settings = settings_of(seed=2)
    (batch,) = training_batches(
        forty_faces, GroupedRows.of(forty_faces, rows, "race"), images_of(forty_faces, settings), settings, 3, ALONE
    )
    (plan,) = TrainingPlan(rows_of(6), settings, 3, ALONE)
    assert sorted(plan.places.tolist()) == list(range(6))
    expected = rows[plan.places]
    assert torch.equal(batch.inputs, images_of(forty_faces, settings).training(expected, 3))
    assert batch.classes.tolist() == forty_faces.table["profession"].cat.codes.iloc[expected].tolist()


def test_evaluation_batches_have_the_rows_in_their_order(forty_faces):
    rows = np.resize(ALL[::-1], EVALUATION_BATCH + 10)
    settings = settings_of()
    inputs = images_of(forty_faces, settings)
    first, last = evaluation_batches(forty_faces, rows, inputs, settings)
    assert (len(first[0]), len(last[0])) == (EVALUATION_BATCH, 10)
    images, classes, got = (torch.cat(pair) for pair in zip(first, last, strict=True))
    assert got.tolist() == rows.tolist()
    assert torch.equal(images, inputs.evaluation(rows))
    assert classes.tolist() == forty_faces.table["profession"].cat.codes.iloc[rows].tolist()
    assert classes.dtype == torch.int64


def test_slices_of_rows_enter_as_they_are_evaluated(forty_faces):
    inputs, rows = images_of(forty_faces, settings_of()), np.array([7, 3, 39, 3, 12])
    assert torch.equal(InputsOfRows(inputs, rows)[1:4], inputs.evaluation(np.array([3, 39, 3])))
    assert torch.equal(InputsOfRows(inputs, rows)[3:19], inputs.evaluation(np.array([3, 12])))


# --- order ------------------------------------------------------------------------------------------------------


def test_every_epoch_is_a_permutation_that_can_be_resumed():
    epochs = [places_in_order(plans_of(50, epoch, seed=3)) for epoch in range(4)]
    assert all(sorted(places) == list(range(50)) for places in epochs)
    assert len({tuple(places) for places in epochs}) == 4
    torch.manual_seed(99)
    np.random.seed(99)
    assert places_in_order(plans_of(50, 2, seed=3)) == epochs[2]
    assert places_in_order(plans_of(50, 2, seed=4)) != epochs[2]


def test_nothing_but_seed_and_epoch_orders_the_images():
    expected = places_in_order(plans_of(48, 1, seed=3))
    other_settings = {"batch_size": 16, "mixup_alpha": 0.8, "mixup_probability": 1.0, "experiment": "D", "workers": 2}
    assert places_in_order(plans_of(48, 1, seed=3, **other_settings)) == expected


def test_a_plan_says_the_same_however_often_it_is_asked():
    plan = TrainingPlan(rows_of(20), settings_of(mixup_probability=1.0), 0, ALONE)
    for first, second in zip(plan, plan, strict=True):
        assert first.places.tolist() == second.places.tolist() and first.partners.tolist() == second.partners.tolist()
        assert first.share == second.share
    assert len({batch.share for batch in plan}) == len(plan) == 3  # every batch draws its own


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [(16, 8, [8, 8]), (18, 8, [8, 8, 2]), (17, 8, [8, 8]), (9, 8, [8]), (8, 8, [8]), (5, 8, [5]), (1, 8, [1])],
)
def test_only_a_last_batch_of_one_image_is_left_out_and_never_the_only_one(count, batch_size, sizes, forty_faces):
    batches = batches_of(forty_faces, np.arange(count), batch_size=batch_size)
    assert [len(batch.own) for batch in batches] == [batch.size for batch in batches] == sizes
    assert len(TrainingPlan(rows_of(count), settings_of(batch_size=batch_size), 0, ALONE)) == len(sizes)


# --- MixUp ------------------------------------------------------------------------------------------------------


def test_mixup_is_worked_by_hand():
    twin = np.random.default_rng(11)
    assert twin.random() < 0.9
    share, partners = twin.beta(0.4, 0.4), twin.permutation(4)
    got_partners, got_share = mixup(4, 0.4, 0.9, np.random.default_rng(11))
    assert got_share == share and got_partners.tolist() == partners.tolist() and got_partners.dtype == np.int64


@pytest.mark.parametrize(("alpha", "probability"), [(0.0, 1.0), (0.2, 0.0)])
def test_without_mixup_everyone_is_its_own_partner_with_share_one(alpha, probability):
    for seed in range(20):
        partners, share = mixup(5, alpha, probability, np.random.default_rng(seed))
        assert share == 1.0 and partners.tolist() == [0, 1, 2, 3, 4]


def test_mixup_mixes_its_share_of_the_batches_and_shares_are_symmetric():
    generator = np.random.default_rng(0)
    shares = np.array([mixup(2, 0.2, 0.5, generator)[1] for _ in range(2000)])
    assert (shares < 1).mean() == pytest.approx(0.5, abs=0.05)
    assert shares[shares < 1].mean() == pytest.approx(0.5, abs=0.06)
    assert shares.min() >= 0 and shares.max() <= 1


@pytest.mark.parametrize(("alpha", "probability"), [(0.0, 1.0), (0.4, 0.0)])
def test_batches_that_are_not_mixed_say_so(alpha, probability, forty_faces):
    for batch in batches_of(forty_faces, mixup_alpha=alpha, mixup_probability=probability):
        assert batch.share == 1.0 and torch.equal(batch.partners, batch.own)


def test_partners_come_from_the_same_batch_and_every_image_is_one_once():
    for plan in plans_of(20, mixup_alpha=0.4, mixup_probability=1.0):
        assert plan.own.tolist() == list(range(plan.size)) == sorted(plan.partners.tolist())


# --- several processes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [1.0, 0.0])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_processes_together_train_on_the_batches_of_a_single_one(count, probability, forty_faces):
    mixing = {"mixup_alpha": 0.4, "mixup_probability": probability}
    rows = ALL[::-1][:22]  # batches of 8, 8 and 6
    single = batches_of(forty_faces, rows, epoch=1, **mixing)
    shares = [batches_of(forty_faces, rows, 1, Processes(rank, count), **mixing) for rank in range(count)]
    assert [len(share) for share in shares] == [3] * count
    for whole, *parts in zip(single, *shares, strict=True):
        for field in ("own", "partners"):
            images = torch.cat([part.inputs[getattr(part, field)] for part in parts])
            classes = torch.cat([part.classes[getattr(part, field)] for part in parts])
            assert torch.equal(images, whole.inputs[getattr(whole, field)])
            assert torch.equal(classes, whole.classes[getattr(whole, field)])
        lengths = [len(part.own) for part in parts]
        assert sum(lengths) == whole.size and max(lengths) - min(lengths) <= 1
        assert [part.first for part in parts] == np.cumsum([0, *lengths[:-1]]).tolist()
        assert {(part.size, part.share) for part in parts} == {(whole.size, whole.share)}


@pytest.mark.parametrize("count", [2, 3])
def test_a_process_loads_its_own_images_and_their_partners_and_no_other(count):
    mixing = {"mixup_alpha": 0.4, "mixup_probability": 1.0}
    fewer = 0
    for rank in range(count):
        for whole, plan in zip(plans_of(30, **mixing), plans_of(30, 0, Processes(rank, count), **mixing), strict=True):
            own = np.arange(plan.first, plan.first + len(plan.own))
            needed = {*whole.places[own].tolist(), *whole.places[whole.partners[own]].tolist()}
            assert len(plan.places) == len(needed) and set(plan.places.tolist()) == needed
            assert plan.places[plan.own].tolist() == whole.places[own].tolist()
            assert plan.places[plan.partners].tolist() == whole.places[whole.partners[own]].tolist()
            fewer += len(needed) < whole.size
    assert fewer  # so that it matters


def test_a_share_of_a_batch_is_worked_by_hand():
    """The second of two processes has the fourth and fifth of five images, whose partners are the second and first."""
    mixing = {"mixup_alpha": 0.4, "mixup_probability": 1.0}
    (whole,) = plans_of(5, **mixing)
    assert (whole.places.tolist(), whole.partners.tolist()) == ([2, 1, 0, 4, 3], [3, 4, 2, 1, 0])
    (plan,) = plans_of(5, 0, Processes(1, 2), **mixing)
    assert plan.places.tolist() == [2, 1, 4, 3]  # without the third, which neither is its own nor a partner of them
    assert (plan.own.tolist(), plan.partners.tolist(), plan.first, plan.size) == ([2, 3], [1, 0], 3, 5)


def test_without_mixing_processes_load_nothing_twice():
    plans = [plan for rank in range(3) for plan in plans_of(32, 0, Processes(rank, 3), mixup_alpha=0.0)]
    assert sorted(place for plan in plans for place in plan.places) == list(range(32))


def test_a_last_batch_smaller_than_the_number_of_processes_gives_some_none(forty_faces):
    shares = [batches_of(forty_faces, np.arange(10), 0, Processes(rank, 3), mixup_probability=1.0) for rank in range(3)]
    assert [len(share[0].own) for share in shares] == [3, 3, 2]
    assert [len(share[1].own) for share in shares] == [1, 1, 0]
    without = shares[2][1]
    assert without.inputs.shape == (0, 3, 32, 32) and without.classes.shape == without.partners.shape == (0,)
    assert without.size == 2


# --- workers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", ["unlimited", 4])
def test_workers_make_the_same_batches(views, forty_faces):
    alone, helped = (
        batches_of(forty_faces, ALL, 2, augmented_views=views, mixup_probability=1.0, workers=workers)
        for workers in (0, 2)
    )
    assert len(alone) == 5
    assert_same_batches(alone, helped)


def test_workers_evaluate_the_same_batches_in_the_same_order(forty_faces):
    rows = np.resize(ALL, 2 * EVALUATION_BATCH + 5)
    alone, helped = (
        list(evaluation_batches(forty_faces, rows, images_of(forty_faces, settings), settings))
        for settings in (settings_of(workers=0), settings_of(workers=2))
    )
    assert len(alone) == 3
    assert all(torch.equal(*pair) for batches in zip(alone, helped, strict=True) for pair in zip(*batches, strict=True))


def test_a_cpu_has_no_workers_unless_they_are_asked_for():
    assert worker_count(settings_of()) == 0
    assert worker_count(settings_of(workers=3)) == 3


def test_a_gpu_has_its_share_of_the_cores_as_workers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for cores, gpus, workers in ((12, 1, 12), (64, 1, 16), (64, 8, 8), (2, 4, 0)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        assert worker_count(settings_of(accelerator="auto")) == workers
    assert worker_count(settings_of(accelerator="cpu")) == 0
    assert worker_count(settings_of(accelerator="auto", workers=5)) == 5
