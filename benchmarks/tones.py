"""`python -m benchmarks.tones MODEL [MODEL ...]`: does a trained network see age alike on every skin tone?

The same people are drawn on each tone, everything else that chance decides being the same: what a registered model then
answers otherwise, it answers for the tone's sake. With `cue_gap` it has to, without it ought not to.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import cache, partial

import cv2
import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel

from fairprof.data.portraits import GENDERS, Person, draw_portrait
from fairprof.errors import shown_in_one_line
from fairprof.runtime.files import cache_folder
from fairprof.seeds import numpy_generator

TONES = (2, 3, 6, 8, 9)  # of the Monk scale; the lightest group has 1 to 4, the darkest 8 to 10
PEOPLE = 200
SIZE = 256  # pixels
AGES = {"student": (8, 19), "retired": (70, 90)}  # years in which the profession is by far the most frequent


def same_people(ages: tuple[int, int], people: int, tones: Sequence[int], cue_gap: float) -> dict[int, list[bytes]]:
    """Encoded portraits of the same people, of ages from the first to the last of two, on each skin tone."""
    return {tone: [_image(number, ages, tone, cue_gap) for number in range(people)] for tone in tones}


def share_by_tone(
    predict: Callable[[list[bytes]], Sequence[str]], profession: str, images: dict[int, list[bytes]]
) -> pd.Series:
    """How often images are taken for the profession, by skin tone, in [0, 1]; ideal: equal on every tone.

    predict: encoded images to professions. images: of `same_people`.
    """
    shares = {}
    for tone, of_tone in images.items():
        shares[tone] = float(np.mean([answer == profession for answer in predict(of_tone)]))
    return pd.Series(shares, name=profession)


def _image(number: int, ages: tuple[int, int], tone: int, cue_gap: float) -> bytes:
    generator = numpy_generator(0, "person", number)
    person = Person(int(generator.integers(*ages, endpoint=True)), GENDERS[number % 2], tone)
    pixels, _ = draw_portrait(person, generator, SIZE, cue_gap)
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


@cache
def _portraits(profession: str, cue_gap: float) -> dict[int, list[bytes]]:
    return same_people(AGES[profession], PEOPLE, TONES, cue_gap)


def _of_model(name: str) -> pd.DataFrame:
    version = mlflow.MlflowClient().get_model_version(*name.split("/"))
    cue_gap = float(mlflow.get_run(str(version.run_id)).data.params["cue_gap"])
    predict = partial(_professions, mlflow.pyfunc.load_model(f"models:/{name}"))
    shares = [share_by_tone(predict, profession, _portraits(profession, cue_gap)) for profession in AGES]
    return pd.concat(shares, axis=1).rename_axis("tone").reset_index().assign(model=name, cue_gap=cue_gap)


def _professions(model: PyFuncModel, images: list[bytes]) -> list[str]:
    return pd.DataFrame(model.predict(images))["profession"].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tones", description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL", help="name and version, such as fairprof-B/1")
    table = pd.concat([_of_model(name) for name in parser.parse_args().models], ignore_index=True)
    print(table.pivot(index=["model", "cue_gap"], columns="tone").to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    with shown_in_one_line(cache_folder("auto") / "logs"):
        main()
