"""Where the weights come from that a network starts from: published ones, a file, a folder or a hub; found here or
downloaded, with digest, licence and origin, and what becomes of images for them."""

import http.client
import json
import os
import re
import socket
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import torch
from torchvision.models import get_model_weights

from fairprof.config import HUB, LOCAL_FOLDER, NAMED_WEIGHTS, WEIGHTS_TO_GIVE
from fairprof.errors import UserError
from fairprof.network.architectures import preprocessing_of, require_known
from fairprof.network.records import Weights
from fairprof.plain_text import visible
from fairprof.runtime.files import UnreadableFile, path_of, read_file, sha256_of
from fairprof.serving import OF_TIMM, Preprocessing

MAX_BYTES = 4 * 2**30  # of a file; the largest of torchvision's classifiers have 2.6e9
MAX_TEXT_BYTES = 2**20  # of a file that describes weights
DOWNLOAD_TIMEOUT = 20.0  # seconds without an answer
# as Hugging Face's hub and folders written for it name weights of timm and open_clip, the first that is there
NAMES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CONFIG = "config.json"  # beside weights, as timm writes it
DESCRIPTIONS = (CONFIG, "README.md")  # beside weights, with their licence
LEAST_CROP = 0.1  # a smaller one would keep images of more than 100 times the pixels that a network sees
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)  # of a README.md on the hub
LICENCE = re.compile(r"^license:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class _Found:
    """A file of weights; licence, origin: as `Weights` has them."""

    path: Path
    licence: str = ""
    origin: str = ""


def find_weights(architecture: str, weights: str) -> tuple[Weights, Path | None]:
    """What the setting `weights` means for an architecture, and the file that holds them; None for random weights.

    `auto`: published ones where they can be had, and else random ones, of which it warns. Raises `UserError` where
    weights that are asked for cannot be had.
    """
    if weights == "random":
        return Weights("random", ""), None
    if weights in NAMED_WEIGHTS:
        try:
            name, found = _published(architecture, weights)
        except UserError as error:
            if weights != "auto":
                raise
            print(
                f"fairprof: warning: {visible(error)}; this run starts from random weights, which learn far less from "
                "few images",
                flush=True,
            )
            return Weights("random", ""), None
        sha256 = _digest(found.path, weights, "remove it, and it is downloaded again")
    else:
        name, found = weights, _given(weights)
        sha256 = _digest(found.path, weights, WEIGHTS_TO_GIVE)
    known = Weights(name, sha256, found.licence, found.origin)
    try:
        return replace(known, preprocessing=_stated_preprocessing(architecture, weights, found)), found.path
    except _Damaged as error:
        return replace(known, damage=str(error)), found.path


def preprocessing_with(architecture: str, weights: str) -> Preprocessing:
    """What becomes of images before they enter a network that starts from these weights: what the folder or the
    repository states in which they are, and else as `preprocessing_of` the architecture.

    Raises `UserError` for an unknown architecture, or a folder or repository that cannot be had.
    """
    own = preprocessing_of(architecture)
    if not weights.startswith((LOCAL_FOLDER, HUB)):
        return own
    try:
        return _stated_preprocessing(architecture, weights, _given(weights)) or own
    except _Damaged:  # which a run says of its weights
        return own


def _digest(path: Path, weights: str, remedy: str) -> str:
    try:
        return sha256_of(path, MAX_BYTES)
    except UnreadableFile as error:
        raise UserError(f"weights={weights}: {error.about(path)}: {remedy}") from None


def _published(architecture: str, weights: str) -> tuple[str, _Found]:
    """Name and file of the weights with which an architecture was published."""
    require_known(architecture)
    if not architecture.startswith(OF_TIMM):
        return "imagenet", _of_torchvision(architecture)
    if weights == "imagenet":
        raise UserError(
            f"weights=imagenet means torchvision's weights, and {architecture} is timm's: set weights=pretrained, and "
            "which weights these are by the tag in the architecture's name, as in timm:resnet50.a1_in1k"
        )
    return "pretrained", _of_timm(architecture)


def _given(weights: str) -> _Found:
    if weights.startswith(HUB):
        repository, _, revision = weights.removeprefix(HUB).partition("@")
        return _of_hub(repository, NAMES, revision)
    if weights.startswith(LOCAL_FOLDER):
        return _of_folder(path_of(weights.removeprefix(LOCAL_FOLDER), "weights"), weights)
    path = path_of(weights, "weights")
    return _Found(path, _licence_in(path))


# --- torchvision ------------------------------------------------------------------------------------------------


def _of_torchvision(architecture: str) -> _Found:
    """torchvision's ImageNet weights in the local cache of torch.hub, downloaded if they are not there yet."""
    entries = get_model_weights(architecture)
    entry = entries["IMAGENET1K_V1"] if "IMAGENET1K_V1" in entries.__members__ else next(iter(entries))
    return _Found(_downloaded(entry.url, "the ImageNet weights"), origin=f"torchvision, {entry.url}")


def _downloaded(url: str, what: str) -> Path:
    """A file in the local cache of torch.hub, downloaded if it is not there yet."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not os.path.exists(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _socket_timeout(DOWNLOAD_TIMEOUT):
                torch.hub.download_url_to_file(url, str(path), hash_prefix=_hash_in(path.stem))
        except (urllib.error.URLError, http.client.HTTPException, OSError, RuntimeError) as error:
            raise UserError(
                f"{what} cannot be downloaded from {url} ({' '.join(str(error).split())}): put the file at {path}"
            ) from None
    return path


def _hash_in(stem: str) -> str | None:
    """The start of the digest that a published file has in its name, as in `resnet50-0676ba61`."""
    _, dash, last = stem.rpartition("-")
    return last if dash and re.fullmatch("[0-9a-f]{8,}", last) else None


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# --- timm and Hugging Face's hub --------------------------------------------------------------------------------


def _of_timm(architecture: str) -> _Found:
    """The weights of the tag in an architecture's name, or of timm's first one, where it has none."""
    from timm.models import get_pretrained_cfg, list_pretrained

    name = architecture.removeprefix(OF_TIMM)
    described = get_pretrained_cfg(name)
    tags = ", ".join(f"{OF_TIMM}{known}" for known in list_pretrained(f"{name.partition('.')[0]}.*"))
    if described is None or not described.has_weights:
        raise UserError(
            f"timm has no weights for {architecture}: {f'it has them for {tags}' if tags else 'give random or a file'}"
        )
    licence = described.license or ""
    if described.hf_hub_id:
        file = described.hf_hub_filename
        found = _of_hub(described.hf_hub_id, (file,) if file else NAMES[:2], None)
        return _Found(found.path, licence or found.licence, found.origin)
    if described.custom_load or not isinstance(described.url, str):
        raise UserError(f"timm's weights of {architecture} are no state dict: give weights of another tag, of {tags}")
    return _Found(_downloaded(described.url, f"timm's weights of {architecture}"), licence, described.url)


def _of_hub(repository: str, names: tuple[str, ...], revision: str | None) -> _Found:
    """The first file of these names at a revision of a repository on Hugging Face's hub; None: as it is here in the
    local cache, and else the newest."""
    path = _cached(repository, names, revision)
    if path is None:
        path = _from_hub(repository, names, revision)
        if path is None:
            raise UserError(
                f"{HUB}{repository}{f'@{revision}' if revision else ''} has none of the files {', '.join(names)}: "
                "download the file of its weights, and set weights to it"
            )
        for name in DESCRIPTIONS:
            _from_hub(repository, (name,), path.parent.name)
    # a folder of the cache for every commit
    return _Found(path, _licence_in(path) or _licence_beside(path.parent), f"{HUB}{repository}@{path.parent.name}")


def _cached(repository: str, names: tuple[str, ...], revision: str | None) -> Path | None:
    """The first file of these names in the local cache of the hub; None where none is there."""
    import huggingface_hub

    for name in names:
        try:
            cached = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision)
        except huggingface_hub.errors.HFValidationError as error:  # it is no name of a repository
            raise UserError(f"{HUB}{repository}: {' '.join(str(error).split())}") from None
        if isinstance(cached, str):
            return Path(cached)
    return None


def _from_hub(repository: str, names: tuple[str, ...], revision: str | None) -> Path | None:
    """The first file of these names that a repository has, downloaded into the local cache of the hub; None where it
    has none."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names:
        try:
            # asked first, since a download that nobody answers tries again for half a minute
            url = huggingface_hub.hf_hub_url(repository, name, revision=revision)
            huggingface_hub.get_hf_file_metadata(url, timeout=DOWNLOAD_TIMEOUT)
            return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision))
        except Exception as error:  # among them those of whatever HTTP client the hub's library uses
            if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
                continue
            raise UserError(
                f"{name} of {HUB}{repository}{f'@{revision}' if revision else ''} cannot be downloaded "
                f"({' '.join(str(error).split())[:200]}): where there is a network, run `hf download {repository}`, "
                f"which fills the cache of Hugging Face's hub ({huggingface_hub.constants.HF_HUB_CACHE}); or download "
                "the file, and set weights to it"
            ) from None
    return None


# --- what becomes of images ---------------------------------------------------------------------------------------


class _Damaged(Exception):
    """A description of weights that cannot be read, or states what no image can be seen through."""


def _stated_preprocessing(architecture: str, weights: str, found: _Found) -> Preprocessing | None:
    """What config.json states beside weights of a folder or a repository, as timm writes it: mean, std and crop_pct of
    `pretrained_cfg` or, in older files, of the file itself. What it leaves out is the architecture's. None where all
    is, or there is none. Raises `_Damaged`."""
    if not weights.startswith((LOCAL_FOLDER, HUB)) or not os.path.lexists(found.path.parent / CONFIG):
        return None
    try:
        described = json.loads(read_file(found.path.parent / CONFIG, MAX_TEXT_BYTES))
    except UnreadableFile as error:
        raise _Damaged(error.about(Path(CONFIG))) from None
    except (ValueError, RecursionError):
        raise _Damaged("it is no JSON") from None
    stated = described.get("pretrained_cfg", described) if isinstance(described, dict) else None
    if not isinstance(stated, dict):
        raise _Damaged("it does not hold fields by name")
    own = preprocessing_of(architecture)
    mean, deviation, crop = (stated.get(name) for name in ("mean", "std", "crop_pct"))
    preprocessing = Preprocessing(
        own.mean if mean is None else _of_channels("mean", mean),
        own.standard_deviation if deviation is None else _of_channels("std", deviation),
        own.crop if crop is None else _number("crop_pct", crop),
    )
    if min(preprocessing.standard_deviation) <= 0:
        raise _Damaged("std holds what is not above 0")
    if not LEAST_CROP <= preprocessing.crop <= 1:
        raise _Damaged(f"crop_pct is no share from {LEAST_CROP} to 1")
    return None if preprocessing == own else preprocessing


def _of_channels(name: str, value: object) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise _Damaged(f"{name} does not hold a number for each of three channels")
    red, green, blue = (_number(name, number) for number in value)
    return red, green, blue


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise _Damaged(f"{name} holds what is no number")
    return float(value)


# --- folders and licences ---------------------------------------------------------------------------------------


def _of_folder(folder: Path, weights: str) -> _Found:
    """The file of weights in a folder: one with a name of the hub's or, where none has, the only one there is."""
    try:
        files = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        reason = "there is no such folder" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise UserError(f"weights={weights}: {folder} cannot be read ({reason}): {WEIGHTS_TO_GIVE}") from None
    named = [name for name in NAMES if name in files] or files
    if not named:
        raise UserError(f"weights={weights}: {folder} holds no file of weights ({', '.join(SUFFIXES)})")
    if named[0] not in NAMES and len(named) > 1:
        raise UserError(
            f"weights={weights}: {folder} holds several files of weights ({', '.join(named)}): set weights to one"
        )
    path = folder / named[0]
    return _Found(path, _licence_in(path) or _licence_beside(folder))


def _licence_in(path: Path) -> str:
    """The licence that a file of safetensors states among its metadata; "" where it states none."""
    if path.suffix.lower() != ".safetensors":
        return ""
    try:
        with safetensors.safe_open(path, "pt") as file:
            stated = file.metadata() or {}
    except (OSError, safetensors.SafetensorError):  # what is wrong with it is told when it is read
        return ""
    return _shortened(stated.get("license") or stated.get("licence"))


def _licence_beside(folder: Path) -> str:
    """The licence that a folder states as the hub has it: in config.json, as timm writes it, or README.md."""
    try:
        described = json.loads(read_file(folder / CONFIG, MAX_TEXT_BYTES))
        for stated in (described, described.get("pretrained_cfg", {})):
            if _shortened(stated.get("license")):
                return _shortened(stated["license"])
    except (UnreadableFile, ValueError, AttributeError, RecursionError):  # none, or one of another making
        pass
    try:
        text = read_file(folder / "README.md", MAX_TEXT_BYTES).decode(errors="replace").replace("\r\n", "\n")
    except UnreadableFile:
        return ""
    head = FRONT_MATTER.match(text)
    stated = LICENCE.search(head[1]) if head else None
    return _shortened(stated[1].strip("\"'")) if stated else ""


def _shortened(stated: object) -> str:
    return " ".join(stated.split())[:100] if isinstance(stated, str) else ""
