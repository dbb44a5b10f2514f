"""Hostile files, and manifests that hypothesis makes: each is used or refused in one line, soon, in little memory."""

import csv
import functools
import io
import json
import os
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import psutil
import safetensors.torch
import torch
from hypothesis import strategies

from fairprof.commands.prepare.run import read
from fairprof.commands.train.hyperparameters import with_hyperparameters
from fairprof.config import PrepareSettings, Settings
from fairprof.data.pool import load_pool
from fairprof.errors import UserError
from fairprof.network.weights import read_state_dict
from tests.faults.attempts import Failed
from tests.faults.campaign import Kind
from tests.faults.stage import Stage
from tests.faults.worlds import World, copied

SECONDS = 20  # for one file
MEMORY = 3 * 2**30  # bytes of addresses beyond what a process has that has imported everything
AT_ONCE = 15  # files an attempt
EXAMPLES = 10  # manifests an attempt


def kinds(stage: Stage) -> list[Kind]:
    return [
        Kind("files", 240, functools.partial(_of_files, stage)),
        Kind("manifests", 80, functools.partial(_of_manifests, stage)),
    ]


def complaint(world: World, use: Callable[[], object]) -> str:
    """What is wrong with how a file is taken: nothing where it is used, or refused in a line. It is taken in a process
    of its own: threads that wait for a pipe end with it alone."""
    outcome = world.folder / "outcome"

    def taken() -> None:
        used = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        outcome.write_text(_said_of(use))

    outcome.unlink(missing_ok=True)
    process = world.start(taken)
    try:
        status = process.wait(SECONDS)
    except Failed as failure:
        return str(failure)
    return outcome.read_text() if outcome.exists() else f"it ended with status {status}: {process.last_line()}"


def _said_of(use: Callable[[], object]) -> str:
    try:
        use()
    except UserError as refusal:
        return "" if "\n" not in str(refusal) and len(str(refusal)) < 2000 else f"no line: {str(refusal)[:200]!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return ""


# --- files ------------------------------------------------------------------------------------------------------


def pipe(file: Path, _: np.random.Generator) -> None:
    os.mkfifo(file)


def zeros(file: Path, _: np.random.Generator) -> None:
    file.symlink_to("/dev/zero")


def full(file: Path, _: np.random.Generator) -> None:
    file.symlink_to("/dev/full")


def sparse(file: Path, _: np.random.Generator) -> None:
    with open(file, "wb") as opened:
        opened.truncate(40 * 2**30)


def loop(file: Path, _: np.random.Generator) -> None:
    file.symlink_to(file.name)


def folder(file: Path, _: np.random.Generator) -> None:
    file.mkdir()


def empty(file: Path, _: np.random.Generator) -> None:
    file.touch()


def noise(file: Path, generator: np.random.Generator) -> None:
    file.write_bytes(generator.bytes(int(generator.integers(1, 20_000))))


def letters(file: Path, generator: np.random.Generator) -> None:
    """Of any kind of text, in an encoding that nobody has said."""
    points = generator.choice([9, 10, 13, 34, 39, 44, 58, 0, 0x1B, 0x202E, 0x1F600, 65, 66, 123, 91, 45, 32], 500)
    text = "".join(map(chr, points.tolist()))
    file.write_bytes(text.encode(str(generator.choice(["utf-8", "utf-16", "utf-32", "utf-8-sig", "utf-7"]))))


def nested(file: Path, generator: np.random.Generator) -> None:
    opened = str(generator.choice(["[", "{a: ", "- ", "{'a':", "((("]))
    file.write_text(opened * int(generator.integers(100, 200_000)))


def mended(file: Path, generator: np.random.Generator, whole: bytes = b"") -> None:
    """A good file in which a few bytes are others, or which ends early."""
    content = bytearray(whole)
    for _ in range(int(generator.integers(1, 6))):
        content[int(generator.integers(len(content)))] = int(generator.integers(256))
    if generator.random() < 0.3:
        del content[int(generator.integers(len(content))) :]
    file.write_bytes(content)


def bomb(file: Path, generator: np.random.Generator) -> None:
    """A picture of a few bytes that says it has pixels without end."""
    width = int(generator.integers(1, 2**31))
    head = b"IHDR" + struct.pack(">IIBBBBB", width, 2**31 - 1, 8, 2, 0, 0, 0)
    chunks = (head, b"IDAT" + zlib.compress(bytes(10**6)), b"IEND")
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in chunks]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


COMMON = (pipe, zeros, full, sparse, loop, folder, empty, noise, letters, nested)
STRANGE_NAMES = (
    "n" * 300,
    "~nosuchuser/x",
    "/proc/self/mem",
    "/dev/tty",
    "a/" * 3000 + "x",
    "\x1b[31m",
    "..",
    "x\ny",
    " ",
)


def as_image(world: World, write: Callable, generator: np.random.Generator) -> Callable[[], object]:
    file = world.folder / "faces" / "7.png"
    whole = file.read_bytes()
    file.unlink()
    _written(write, file, generator, whole)
    return _pool(world)


def as_image_name(world: World, _: Callable, generator: np.random.Generator) -> Callable[[], object]:
    manifest = world.folder / "faces.csv"
    name = STRANGE_NAMES[int(generator.integers(len(STRANGE_NAMES)))]
    quoted = '"' + name + '"'
    manifest.write_text(manifest.read_text().replace("faces/7.png", quoted))
    return _pool(world)


def as_manifest(world: World, write: Callable, generator: np.random.Generator) -> Callable[[], object]:
    import pandas as pd

    manifest = world.folder / "faces.csv"
    whole = manifest.read_bytes()
    if generator.random() < 0.5:
        buffer = io.BytesIO()
        pd.read_csv(manifest).to_parquet(buffer)
        whole = buffer.getvalue()
        named = manifest.with_suffix(".parquet")
    else:
        named = manifest
    manifest.unlink()
    _written(write, named, generator, whole)
    return _pool(world, f"manifest:{named}")


def as_weights(world: World, write: Callable, generator: np.random.Generator) -> Callable[[], object]:
    ending = str(generator.choice([".pt", ".pth", ".safetensors", ".SAFETENSORS", ""]))
    file = world.folder / f"weights{ending}"
    tensors = {"layer.weight": torch.zeros(3, 3), "layer.bias": torch.zeros(3)}
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    whole = safetensors.torch.save(tensors) if "safe" in ending.lower() else buffer.getvalue()
    _written(write, file, generator, whole)
    return functools.partial(read_state_dict, file)


def as_hyperparameters(world: World, write: Callable, generator: np.random.Generator) -> Callable[[], object]:
    file = world.folder / "hparams.yaml"
    _written(write, file, generator, b"learning_rate: 0.001\nbatch_size: 16\nepochs: 2\n2020-13-45: [1, *a]\n")
    return lambda: with_hyperparameters(Settings(hparams=str(file)))


def _written(write: Callable, file: Path, generator: np.random.Generator, whole: bytes) -> None:
    if write is mended:
        mended(file, generator, whole)
    else:
        write(file, generator)


def _pool(world: World, data: str = "") -> Callable[[], object]:
    given = world.shared()
    settings = Settings(**given | ({"data": data} if data else {}))
    return lambda: load_pool(settings, settings.image_size)


ROLES = {
    as_image: (*COMMON, mended, mended, bomb),
    as_image_name: (empty,),
    as_manifest: (*COMMON, mended, mended, mended),
    as_weights: (*COMMON, mended, mended, mended),
    as_hyperparameters: (*COMMON, mended, mended),
}
PAIRS = [(role, write) for role, writes in ROLES.items() for write in writes]


def _of_files(stage: Stage, number: int, generator: np.random.Generator):
    """The next few of all roles and files, in turn."""
    pairs = [PAIRS[(number * AT_ONCE + place) % len(PAIRS)] for place in range(AT_ONCE)]
    return f"{AT_ONCE} hostile files", functools.partial(_taken, stage.bare, pairs, generator)


def _taken(bare: World, pairs: list, generator: np.random.Generator, folder: Path) -> list[str]:
    found = []
    for number, (role, write) in enumerate(pairs):
        world = copied(bare, folder / f"world{number}")
        said = complaint(world, role(world, write, generator))
        found.append(f"{write.__name__} {role.__name__}: {said}" if said else "")
    return found


# --- manifests that hypothesis makes ------------------------------------------------------------------------------

NAMES = strategies.sampled_from(["image", "gender", "race", "age", "profession", "partition", "person", "regions"])
TEXTS = strategies.one_of(
    strategies.text(max_size=12),
    strategies.sampled_from(
        ["", " ", "nan", "None", "train", "test", "1e999", "-1", "2020-13-45", "$x_{y$", "<b>", "=1+1"]
    ),
    strategies.integers().map(str),
    strategies.floats().map(str),
)
GROUPS = strategies.lists(TEXTS, min_size=1, max_size=3)


@strategies.composite
def manifests(draw) -> tuple[list[str], list[list[str]], str, bool]:
    """Columns, cells, encoding, and whether lines are all as long as the header."""
    names = (
        draw(strategies.permutations(["image", "gender", "race", "profession"]))
        if draw(strategies.integers(0, 4))
        else draw(strategies.lists(strategies.one_of(NAMES, TEXTS), max_size=8))
    )
    names = [*names, *draw(strategies.lists(NAMES, max_size=2))]
    choices = {name: draw(GROUPS) for name in {*names} - {"image"}}
    images = [f"faces/{number}.png" for number in range(96)]
    count = draw(strategies.integers(0, 96))
    odd = draw(strategies.dictionaries(strategies.integers(0, 95), TEXTS, max_size=3))
    rows = []
    for number in range(count):
        cells = [
            odd.get(number, images[number]) if name == "image" else choices[name][number // 3 % len(choices[name])]
            for name in names
        ]
        rows.append(cells)
    return (
        names,
        rows,
        draw(strategies.sampled_from(["utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16"])),
        bool(draw(strategies.integers(0, 5))),
    )


def _of_manifests(stage: Stage, number: int, generator: np.random.Generator):
    seed = int(generator.integers(2**32))
    return f"{EXAMPLES} manifests of hypothesis", functools.partial(_generated, stage.bare, seed)


def _generated(bare: World, seed: int, folder: Path) -> list[str]:
    world = copied(bare, folder / "world")
    found: list[str] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(manifests())
    def try_one(made: tuple[list[str], list[list[str]], str, bool]) -> None:
        names, rows, encoding, even = made
        manifest = world.folder / "made.csv"
        with open(manifest, "w", encoding=encoding, errors="replace", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows(rows if even else [row[: number % 7] for number, row in enumerate(rows)])
        given = {"data": f"manifest:{manifest}", "image_size": 32, "cache_dir": str(world.cache)}
        for use in (
            lambda: load_pool(Settings(**given), 32),
            lambda: read(PrepareSettings(**given)),
        ):
            said = complaint(world, use)
            found.append(f"{said}, of {json.dumps([names, rows[:2], encoding, even])[:400]}" if said else "")

    try_one()
    return found
