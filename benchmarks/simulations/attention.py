"""Attention by group: contrasts of means and distances of mean maps, where groups vary unlike one another."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.simulations.simulation import LEAST_COVERED, MOST_FALSE, Simulation
from fairprof.inference.attention_tests import LARGEST, attention_gap_tests, group_contrasts, map_distances
from fairprof.inference.group_means import ImageValues, image_values
from fairprof.inference.levels import ALPHA

PERMUTATIONS = 199
FIELDS = (3, 3)
MODELS = ("A", "B", "C", "D")

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(shape)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Log-normal, mean 0 and standard deviation 1, skewness 6.2."""
    return (np.exp(generator.standard_normal(shape)) - np.exp(0.5)) / np.sqrt(np.exp(2) - np.exp(1))


def images_of(
    generator: np.random.Generator,
    sizes: tuple[int, ...],
    sds: tuple[float, ...],
    noise: Noise = normal,
    classes: int = 1,
    shifts: tuple[float, ...] | None = None,
    models: tuple[str, ...] = ("A",),
    images_a_person: int = 1,
) -> tuple[ImageValues, pd.DataFrame]:
    """Groups of `sizes` (persons), whose values have the standard deviations `sds` and the means `shifts`, plus one a
    class; larger groups have more of the later classes. All models are measured on the same images."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    true = generator.binomial(classes - 1, 0.3 + 0.4 * group / max(len(sizes) - 1, 1)) if classes > 1 else group * 0
    person = np.repeat(np.arange(len(group)), images_a_person)
    shared, own = noise(generator, (len(group), 1)), noise(generator, (len(group), len(models)))
    of_persons = np.asarray(sds)[group][:, None] * (shared + own) / np.sqrt(2)
    values = (of_persons + true[:, None] + np.asarray(shifts or np.zeros(len(sizes)))[group][:, None])[person]
    rows = pd.DataFrame(
        {
            "image": [f"{number:05d}" for number in range(len(person))],
            "gender": "one",
            "race": [f"g{number}" for number in group[person]],
            "y_true": [f"c{number}" for number in true[person]],
            "person": [f"p{number}" for number in person],
        }
    )
    return image_values(rows, {model: values[:, [n]] for n, model in enumerate(models)}, ("m",)), rows


def gap_rejected(generator: np.random.Generator, **truth) -> dict[str, bool]:
    """Of the first of the models."""
    found, _ = images_of(generator, **truth)
    table = attention_gap_tests(found, PERMUTATIONS, generator)
    return {"means differ": bool(table[table["attribute"].eq("race")]["p_value"].iloc[0] <= ALPHA)}


def band_covers(generator: np.random.Generator, **truth) -> dict[str, bool]:
    """The first group's contrast, which is its shift as no other group has one."""
    found, _ = images_of(generator, **truth)
    table = group_contrasts(found, PERMUTATIONS, generator)
    row = table[table["group"].eq("g0")].iloc[0]
    return {"band holds the contrast": bool(row["lower"] <= truth["shifts"][0] <= row["upper"])}


def maps_rejected(generator: np.random.Generator, sds: tuple[float, ...], elsewhere: float = 0.0, **truth) -> dict:
    """Maps are uneven by a group's own amount around the same mean map; elsewhere: by how much the first group's
    first field is brighter."""
    found, rows = images_of(generator, sds=sds, **truth)
    group = rows["race"].str[1:].astype(int).to_numpy()
    gamma = 1 / np.square(np.asarray(sds)[group] / 2)  # maps are shares of Gamma draws: equal means, own variance
    maps = generator.gamma(np.broadcast_to(gamma[:, None, None], (len(rows), *FIELDS)))
    maps[group == 0, 0, 0] *= 1 + elsewhere
    table = map_distances(found, {"A": maps}, rows["image"], PERMUTATIONS, generator)
    largest = table[table["pair"].eq(LARGEST) & table["attribute"].eq("race")].iloc[0]
    return {"mean maps differ": bool(largest["p_adjusted"] <= ALPHA)}


def _level(name: str, judged: Callable = gap_rejected, **truth) -> Simulation:
    return Simulation(
        f"attention, equal means: {name}", partial(judged, **truth), at_most=MOST_FALSE, quick_data_sets=40
    )


def _power(name: str, least: float, judged: Callable = gap_rejected, **truth) -> Simulation:
    return Simulation(f"attention, unequal means: {name}", partial(judged, **truth), at_least=least)


SEVEN, SEVEN_SDS = (100, 80, 60, 40, 30, 20, 10), (1, 1, 1.5, 2, 2, 2, 3)

SIMULATIONS: tuple[Simulation, ...] = (
    _level("30 and 210 images, SD 2 and 1", sizes=(30, 210), sds=(2, 1)),
    _level("30 and 210, SD 1 and 2", sizes=(30, 210), sds=(1, 2)),
    _level("8 and 60, SD 2 and 1", sizes=(8, 60), sds=(2, 1)),
    _level("three groups", sizes=(30, 60, 210), sds=(3, 2, 1)),
    _level("seven groups", sizes=SEVEN, sds=SEVEN_SDS),
    _level("seven groups, four classes", sizes=SEVEN, sds=SEVEN_SDS, classes=4),
    _level("down to three images", sizes=(60, 40, 30, 20, 8, 5, 3), sds=SEVEN_SDS, classes=2),
    _level("skewed alike, 8 and 60", sizes=(8, 60), sds=(1, 1), noise=skewed),
    _level("skewed, 30 and 210, SD 2 and 1", sizes=(30, 210), sds=(2, 1), noise=skewed),
    _level("skewed, 8 and 60, SD 2 and 1", sizes=(8, 60), sds=(2, 1), noise=skewed),
    _level("skewed, seven groups", sizes=SEVEN, sds=SEVEN_SDS, noise=skewed),
    _level("four models", sizes=(30, 210), sds=(2, 1), models=MODELS),
    _level("five images a person", sizes=(30, 60), sds=(2, 1), images_a_person=5),
    _level("maps, 30 and 210, SD 2 and 1", maps_rejected, sizes=(30, 210), sds=(2, 1)),
    _level("maps, 8 and 60, SD 2 and 1", maps_rejected, sizes=(8, 60), sds=(2, 1)),
    _level("maps, seven groups, four classes", maps_rejected, sizes=SEVEN, sds=SEVEN_SDS, classes=4),
    _power("100 and 100, SD 1, .4 apart", 0.74, sizes=(100, 100), sds=(1, 1), shifts=(0.4, 0)),
    _power("30 and 210, SD 1, .5 apart", 0.65, sizes=(30, 210), sds=(1, 1), shifts=(0.5, 0)),
    _power("largest of seven, SD 1, .35 apart", 0.55, sizes=SEVEN, sds=(1,) * 7, shifts=(0.35, *(0,) * 6)),
    _power("one of seven alike, SD 1, .5 apart", 0.5, sizes=(40,) * 7, sds=(1,) * 7, shifts=(0.5, *(0,) * 6)),
    _power("maps, 30 and 210, SD 1, elsewhere", 0.6, maps_rejected, sizes=(30, 210), sds=(1, 1), elsewhere=0.4),
    *(
        Simulation(
            f"attention, bands: {name}",
            partial(band_covers, sizes=sizes, sds=sds, noise=noise, shifts=(1, *(0,) * (len(sizes) - 1))),
            at_least=LEAST_COVERED,
        )
        for name, sizes, sds, noise in (
            ("30 and 210, SD 2 and 1", (30, 210), (2, 1), normal),
            ("skewed, 30 and 210", (30, 210), (1, 1), skewed),
            ("seven groups", SEVEN, SEVEN_SDS, normal),
        )
    ),
)
