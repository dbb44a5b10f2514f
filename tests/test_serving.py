"""The registered model: decoding, preprocessing, network and Grad-CAM, what `predict` takes and refuses, and how
MLflow's scoring server answers with it."""

import base64
import gc
import gzip
import http.client
import importlib
import io
import json
import math
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import mlflow
import numpy as np
import pandas as pd
import psutil
import pyarrow
import pyarrow.parquet
import pytest
import torch
import uvicorn
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from PIL import Image
from torch import nn

from fairprof import serving
from fairprof.config import Settings
from fairprof.errors import UserError
from fairprof.network.classifier import build_classifier
from fairprof.saliency.gradcam import saliency_maps
from fairprof.saliency.panels import overlay as overlay_of_panels
from fairprof.serving import (
    IMAGENET,
    INFERNO,
    MAX_BYTES,
    MAX_ROWS,
    MAX_TEXT,
    DecisionRule,
    ExplainedLayer,
    UndecodableImage,
    build_network,
    decode_image,
    gradcam,
    overlay,
    square_pixels,
)
from fairprof.store import tracking
from fairprof.store.models import load_stored
from fairprof.store.registry import ToldMethod
from tests.models import register_in_active_run
from tests.places import mlflow_in

# mlflow converts an input example with an operation that pandas will change
pytestmark = pytest.mark.filterwarnings("ignore:Operation with range is deprecated")

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(image: Image.Image | np.ndarray, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, format, **options)
    return buffer.getvalue()


def decoded(image: Image.Image | np.ndarray, format: str = "PNG", **options) -> np.ndarray:
    result = decode_image(encoded(image, format, **options))
    assert result.mode == "RGB"
    return np.asarray(result)


def png_header(width: int, height: int) -> bytes:
    """A PNG of that size with no pixels in it: whoever decodes it fails, whoever checks its size does not."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    end = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (body, end)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_every_lossless_format_gives_the_pixels_that_were_saved(format):
    options = {"lossless": True} if format == "WEBP" else {}
    np.testing.assert_array_equal(decoded(NOISE, format, **options), NOISE)


@pytest.mark.parametrize("format", ["JPEG", "MPO", "GIF"])
def test_lossy_formats_give_nearly_the_pixels_that_were_saved(format):
    smooth = np.asarray(Image.fromarray(NOISE[:4, :4]).resize((64, 64), Image.Resampling.BICUBIC))
    assert np.abs(decoded(smooth, format).astype(int) - smooth).mean() < 8


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).swapaxes(0, 1)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_pictures_are_turned_upright_by_their_exif_orientation(orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decoded(NOISE, exif=exif), upright(NOISE))


def test_grey_and_black_and_white_become_equal_channels():
    grey = np.array([[0, 100, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(decoded(grey), np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(decoded(Image.fromarray(grey > 50))[0, :, 0], [0, 255, 255])


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("RGBA", (200, 0, 100, 255), (200, 0, 100)),
        ("RGBA", (200, 0, 100, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black on white
        ("LA", (0, 51), (204, 204, 204)),
        ("LA", (90, 255), (90, 90, 90)),
    ],
)
def test_transparent_pixels_lie_on_white(mode, colour, seen):
    np.testing.assert_allclose(decoded(Image.new(mode, (2, 2), colour)), np.full((2, 2, 3), seen), atol=1)


def test_a_palette_s_transparent_entry_lies_on_white():
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    np.testing.assert_array_equal(decoded(image), [[[10, 20, 30], [40, 50, 60]]])
    np.testing.assert_array_equal(decoded(image, transparency=1), [[[10, 20, 30], [255, 255, 255]]])


def test_printers_inks_become_light():
    for inks, seen in (((0, 0, 0, 0), (255, 255, 255)), ((0, 0, 0, 255), (0, 0, 0)), ((0, 255, 255, 0), (255, 0, 0))):
        pixels = decoded(Image.new("CMYK", (16, 16), inks), "JPEG", quality=95)
        assert np.abs(pixels.astype(int) - seen).max() <= 3


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_scaled_to_8(format):
    levels = np.array([[0, 257, 200 * 257, 65535, 128]], dtype=np.uint16)
    np.testing.assert_array_equal(decoded(levels, format)[0, :, 1], [0, 1, 200, 255, 0])


def test_grey_of_16_bits_may_begin_with_its_larger_byte():
    levels = np.array([[0, 257, 128 * 257, 65535]], dtype=">u2")
    big_endian = Image.frombytes("I;16B", (4, 1), levels.tobytes())
    np.testing.assert_array_equal(decoded(big_endian, "TIFF")[0, :, 1], [0, 1, 128, 255])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<html>not found</html>", "not an image in a known format"),
        (encoded(NOISE, "ICO"), "not an image in a known format"),
        (encoded(NOISE)[:-300], "truncated or damaged"),
        (encoded(NOISE, "JPEG")[:-200], "truncated or damaged"),
        (encoded(NOISE, "WEBP")[:100], "truncated or damaged|not an image"),
        (encoded(NOISE)[:20], "truncated or damaged|not an image"),
        (png_header(30_000, 30_000), "more than 50,000,000 pixels"),
        (png_header(10_000, 10_000), "more than 50,000,000"),
        (png_header(8_000, 8_000), "8000 x 8000 pixels, more than 50,000,000"),
        (b"P6 30000 30000 255\n", "more than 50,000,000"),
        (encoded(NOISE) + bytes(MAX_BYTES), f"more than {MAX_BYTES:,}"),
    ],
    ids=["empty", "text", "icon", "png", "jpeg", "webp", "header", "bomb", "warned bomb", "large", "ppm", "bytes"],
)
def test_what_is_no_whole_picture_has_its_reason(content, reason):
    with pytest.raises(UndecodableImage, match=reason) as refusal:
        decode_image(content)
    assert "\n" not in str(refusal.value)


def slow_pictures() -> dict[str, bytes]:
    """Files of a few megabytes that decoders would work on for minutes."""
    smooth = encoded(Image.new("RGB", (2000, 2000), "grey"), "JPEG", progressive=True)
    scan = smooth[smooth.rindex(b"\xff\xda") : -2]
    jpeg, png = encoded(NOISE, "JPEG"), encoded(NOISE)
    chunk = struct.pack(">I", 0) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))
    gif = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + bytes(6)
    runs = b"\x01\x00" * 2**20
    head = struct.pack("<IiiHHIIiiII", 40, 2**11, 2**11, 1, 8, 1, len(runs), 0, 0, 256, 0) + bytes(1024)
    return {
        "scans without end": smooth[:-2] + scan * 10_000 + smooth[-2:],
        "metadata in tiny parts": jpeg[:2] + b"\xff\xe1\x00\x09Exif\0\0x" * 500_000 + jpeg[2:],
        "tiny chunks": png[:33] + chunk * 500_000 + png[33:],
        "tiny comments": gif + b"\x21\xfe\x01x\x00" * 500_000 + b"\x3b",
        "tiny runs": struct.pack("<2sIHHI", b"BM", 1078 + len(runs), 0, 0, 1078) + head + runs,
        "text": b"P3\n3000 3000\n255\n" + b"1 2 3 " * 10**6,
    }


@pytest.mark.parametrize("kind", slow_pictures())
def test_a_picture_that_is_made_to_take_long_has_its_reason_soon(kind):
    started = time.monotonic()
    with pytest.raises(UndecodableImage, match="in more than 250,000 pieces|takes too long to decode"):
        decode_image(slow_pictures()[kind])
    assert time.monotonic() - started < 5


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's remarks about damage that it can read past
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM"])
def test_damage_anywhere_gives_a_picture_or_a_reason_and_nothing_else(format):
    generator = np.random.default_rng(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(NOISE, format, **({"exif": exif} if format in ("JPEG", "PNG", "WEBP") else {}))
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(whole)
        for place in generator.integers(0, min(len(whole), 300), generator.integers(1, 8)):
            damaged[place] = generator.integers(256)
        try:
            outcomes.add(decode_image(bytes(damaged)).mode)
        except UndecodableImage:
            outcomes.add("refused")
    assert outcomes == {"RGB", "refused"}


def test_the_stored_edge_keeps_the_study_s_proportion():
    assert [IMAGENET.stored_size(edge) for edge in (224, 32, 64, 448)] == [256, 37, 73, 512]


def test_the_stored_square_is_the_centre():
    stripes = np.repeat(np.array([[10, 20, 20, 30]], dtype=np.uint8), 2, axis=0).repeat(40, axis=0).repeat(40, axis=1)
    wide = Image.fromarray(np.repeat(stripes[..., None], 3, axis=2))  # 160 x 80: the centre is 20 alone
    for picture in (wide, wide.transpose(Image.Transpose.ROTATE_90)):
        square = square_pixels(picture, 16)
        assert square.shape == (16, 16, 3) and square.dtype == np.uint8
        assert set(square[1:-1, 1:-1].ravel()) == {20}


def test_normalised_values_are_worked_by_hand():
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8).view(3, 1, 1)
    expected = [(0 - 0.485) / 0.229, (1 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    torch.testing.assert_close(IMAGENET.normalise(pixels).flatten(), torch.tensor(expected), rtol=0, atol=1e-6)


def test_evaluation_input_is_the_normalised_centre_channels_first():
    stored = np.random.default_rng(2).integers(0, 256, (5, 37, 37, 3), dtype=np.uint8)
    got = IMAGENET.evaluation_input(stored, 32)
    assert got.shape == (5, 3, 32, 32) and got.dtype == torch.float32
    centre = stored[:, 2:34, 2:34] / 255  # 5 pixels too many: 2 before, 3 behind, as torchvision rounds 2.5
    expected = (centre - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(got.movedim(1, -1).numpy(), expected, atol=1e-6)
    torch.testing.assert_close(IMAGENET.evaluation_input(stored[3], 32), got[3], rtol=0, atol=0)


@pytest.mark.parametrize(("architecture", "features"), [("resnet18", 512), ("mobilenet_v3_small", 1024)])
def test_the_last_linear_layer_becomes_the_study_s_head(architecture, features):
    network = build_network(architecture, 4, 64)
    head = list(network.modules())[-6:]
    assert [type(module) for module in head] == [nn.Sequential, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    _, first_drop, first, _, second_drop, second = head
    assert (first_drop.p, second_drop.p) == (0.5, 0.3)
    assert (first.in_features, first.out_features, second.in_features, second.out_features) == (features, 512, 512, 4)
    assert not any(isinstance(module, nn.Linear) and module.out_features == 1000 for module in network.modules())
    assert network.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 4)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("squeezenet1_0", "ends in Conv2d"),
        ("no_such_network", "Unknown model"),
        pytest.param("googlenet", "auxiliary", marks=pytest.mark.filterwarnings("ignore:The default weight init")),
    ],
)
def test_networks_that_cannot_take_the_head_are_refused(architecture, reason):
    with pytest.raises(ValueError, match=reason):
        build_network(architecture, 4, 64)


# --- Grad-CAM and its overlay -----------------------------------------------------------------------------------


def network_of(architecture: str) -> tuple[nn.Module, str]:
    """A network with random weights whose batch norms know the statistics of noise, and the layer to explain."""
    classifier = build_classifier(architecture, "random", "all", 4, seed=0)
    network = classifier.network
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # so that activations of random weights do not vanish
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network.train()(torch.randn(16, 3, 64, 64))
    return network.eval(), classifier.explained_layer


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2", "vgg11", "densenet121"])
def test_maps_equal_those_of_the_explained_runs(architecture):
    network, layer = network_of(architecture)
    images = torch.randn(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    logits, maps = gradcam(network, layer, images)
    with torch.no_grad():
        torch.testing.assert_close(logits, network(images), rtol=0, atol=1e-5)
    expected = saliency_maps(network, layer, images, logits.argmax(dim=1).numpy())
    assert expected.max() > 1e-4
    np.testing.assert_allclose(maps.numpy() / expected.max(), expected / expected.max(), atol=1e-5)
    singles = torch.cat([gradcam(network, layer, images[[row]])[1] for row in range(5)])
    np.testing.assert_allclose(maps.numpy() / expected.max(), singles.numpy() / expected.max(), atol=1e-5)


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_grad_cam_leaves_the_network_and_the_mode_of_gradients_as_they_were(context):
    network, layer = network_of("resnet18")
    network.layer1.train()
    modes = {name: module.training for name, module in network.named_modules()}
    network.fc[1].weight.grad = kept = torch.ones_like(network.fc[1].weight)
    before = {name: value.clone() for name, value in network.state_dict().items() if "layer1" not in name}
    with context():
        mode = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        _, maps = gradcam(network, layer, torch.randn(3, 3, 64, 64))
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == mode
    assert {name: module.training for name, module in network.named_modules()} == modes
    assert not [module for module in network.modules() if module._forward_hooks or module._backward_hooks]
    assert [parameter for parameter in network.parameters() if parameter.grad is not None] == [network.fc[1].weight]
    assert network.fc[1].weight.grad is kept and bool((kept == 1).all())
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
    assert not maps.requires_grad


def test_no_hook_is_left_when_the_network_fails():
    network, layer = network_of("resnet18")
    with pytest.raises(RuntimeError):
        gradcam(network, layer, torch.randn(2, 5, 64, 64))
    assert not network.get_submodule(layer.path)._forward_hooks


def test_colours_are_those_of_inferno():
    steps = np.array([list(bytes.fromhex(colour)) for colour in INFERNO])
    expected = matplotlib.colormaps["inferno"](np.linspace(0, 1, len(INFERNO)))[:, :3] * 255
    assert np.abs(steps - expected).max() <= 1


def test_overlays_are_those_of_the_contact_sheet_on_the_scale_of_the_image():
    generator = np.random.default_rng(3)
    picture = generator.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    saliency = generator.random((3, 3)).astype(np.float32) * 7
    content = overlay(picture, torch.from_numpy(saliency))
    shown = np.asarray(Image.open(io.BytesIO(content)))
    assert content.startswith(b"\x89PNG") and shown.shape == (224, 224, 3)
    expected = overlay_of_panels(picture, saliency, float(saliency.max()))
    assert np.abs(shown.astype(int) - expected).max() <= 5  # half of what 17 colours differ from 256
    np.testing.assert_array_equal(
        shown, np.asarray(Image.open(io.BytesIO(overlay(picture, torch.from_numpy(saliency * 8)))))
    )


def test_a_map_of_zeros_leaves_the_picture_as_it_is():
    picture = np.random.default_rng(4).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(overlay(picture, torch.zeros(2, 2))))), picture)


@pytest.mark.parametrize("size", [32, 64, 224])
def test_the_picture_under_a_map_is_what_enters_the_network(size):
    image = Image.fromarray(NOISE).resize((300, 280), Image.Resampling.BICUBIC)
    entering = IMAGENET.evaluation_input(square_pixels(image, IMAGENET.stored_size(size)), size)
    torch.testing.assert_close(
        IMAGENET.normalise(torch.tensor(IMAGENET.visible_square(image, size)).movedim(-1, 0)), entering
    )


# --- predict ----------------------------------------------------------------------------------------------------

CLASSES = ("cook", "driver", "nurse")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A registry of its own with one version of fairprof-B, an untrained network for images of 32 pixels."""
    with mlflow_in(tmp_path_factory.mktemp("store")) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        classifier = build_classifier("resnet18", "random", "all", len(CLASSES), seed=0)
        with tracking.started_run("B-seed0", {}):
            register_in_active_run(
                classifier.network.state_dict(),
                classifier.explained_layer,
                Settings(experiment="B", architecture="resnet18", image_size=32),
                CLASSES,
                {"best_val/macro_f1": 0.5},
            )
        yield folder


@pytest.fixture(scope="module")
def model(store):
    return mlflow.pyfunc.load_model("models:/fairprof-B@champion")


def smooth(seed: int) -> bytes:
    """A picture unlike the others."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return encoded(Image.fromarray(coarse).resize((48, 60), Image.Resampling.BICUBIC))


CONTENTS = [smooth(seed) for seed in range(5)]
TEXTS = [base64.b64encode(content).decode() for content in CONTENTS]
COLUMNS = ["profession", "probability", *(f"probability_{name}" for name in CLASSES)]


@pytest.fixture(scope="module")
def expected(model) -> pd.DataFrame:
    """What the network says of CONTENTS, computed from its parts."""
    network = model.unwrap_python_model().network
    pixels = np.stack([square_pixels(decode_image(content), IMAGENET.stored_size(32)) for content in CONTENTS])
    with torch.no_grad():
        probabilities = network(IMAGENET.evaluation_input(pixels, 32)).softmax(dim=1).double().numpy()
    table = pd.DataFrame(probabilities, columns=COLUMNS[2:])
    table.insert(0, "profession", [CLASSES[best] for best in probabilities.argmax(axis=1)])
    table.insert(1, "probability", probabilities.max(axis=1))
    return table


def same(got: pd.DataFrame, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(got[COLUMNS], wanted, check_dtype=False, atol=1e-6, rtol=0)


FORMS = {
    "frame of bytes": lambda: pd.DataFrame({"image": CONTENTS}),
    "frame of text": lambda: pd.DataFrame({"image": TEXTS}),
    "frame of both": lambda: pd.DataFrame({"image": CONTENTS[:2] + TEXTS[2:]}),
    "frame with more behind": lambda: pd.DataFrame({"image": TEXTS, "id": range(5), "note": "x"}),
    "list of bytes": lambda: CONTENTS,
    "list of text": lambda: TEXTS,
    "list of both": lambda: CONTENTS[:2] + TEXTS[2:],
    "list of records": lambda: [{"image": content} for content in CONTENTS],
    "array": lambda: np.array(TEXTS, dtype=object),
    "series": lambda: pd.Series(CONTENTS, name="image"),
    "bytearrays": lambda: pd.DataFrame({"image": [bytearray(content) for content in CONTENTS]}),
    "text in lines": lambda: [base64.encodebytes(content).decode() for content in CONTENTS],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_input_has_the_same_answer(form, model, expected):
    table = model.predict(FORMS[form]())
    same(table, expected)
    assert list(table) == COLUMNS


@pytest.mark.parametrize("one", [CONTENTS[3], TEXTS[3]], ids=["bytes", "text"])
def test_one_image_alone_is_a_table_of_one_row(one, model, expected):
    same(model.predict(one), expected.iloc[[3]].reset_index(drop=True))


def test_the_answer_has_the_index_of_the_data_frame(model, expected):
    frame = pd.DataFrame({"image": CONTENTS}, index=[7, 3, 3, "a", None]).iloc[1:]
    table = model.predict(frame)
    pd.testing.assert_index_equal(table.index, frame.index)
    same(table.reset_index(drop=True), expected.iloc[1:].reset_index(drop=True))


def test_more_images_than_a_batch_holds_keep_their_order(model, expected):
    order = np.random.default_rng(0).integers(0, 5, 2 * serving.BATCH + 7)
    same(model.predict([CONTENTS[place] for place in order]), expected.iloc[order].reset_index(drop=True))


NO_IMAGE = {
    "a path": "/etc/passwd",
    "an address": "http://127.0.0.1:9/face.png",
    "another address": "s3://bucket/face.png",
    "a file's address": "file:///etc/passwd",
    "a data address": f"data:image/png;base64,{TEXTS[0]}",
    "base64 of something else": base64.b64encode(b"no picture").decode(),
    "characters without base64": "\u00e4\u20ac",
    "a number": 5,
    "a large number": 10**12,
    "true": True,
    "a list": [TEXTS[0]],
    "an object": {"b64": TEXTS[0]},
    "bytes of something else": b"no picture",
    "a truncated image": CONTENTS[0][:200],
}
MISSING = {"none": None, "nan": math.nan, "nat": pd.NaT, "na": pd.NA, "empty": "", "spaces": " \n", "no bytes": b""}


@pytest.mark.parametrize("bad", NO_IMAGE | MISSING)
def test_what_is_no_image_is_refused_by_its_row(bad, model):
    value = (NO_IMAGE | MISSING)[bad]
    frame = pd.DataFrame({"image": pd.Series([TEXTS[0], value, TEXTS[1]], dtype=object)})
    with pytest.raises(
        MlflowException, match=r"^1 of 3 rows cannot be used, counted from 0: row 1: [^\n]+$"
    ) as refusal:
        model.predict(frame)
    assert refusal.value.get_http_status_code() == 400
    assert str(value) not in str(refusal.value) or len(str(value)) < 5


@pytest.mark.parametrize("values", [[5, 6], [math.nan, math.nan], [None, None], [True, False], ["", ""]], ids=str)
def test_columns_of_nothing_else_are_refused_too(values, model):
    for given in (values, pd.DataFrame({"image": values})):
        with pytest.raises(MlflowException, match="^2 of 2 rows cannot be used.*row 0: .*; row 1: "):
            model.predict(given)


def test_bounds_are_checked_before_anything_is_decoded(model):
    cases = {
        "more than 50,000,000": base64.b64encode(png_header(30_000, 30_000)).decode(),
        f"more than {MAX_TEXT:,}": "A" * (MAX_TEXT + 1),
        f"more than {MAX_BYTES:,}": bytes(MAX_BYTES + 1),
    }
    for words, value in cases.items():
        with pytest.raises(MlflowException, match=f"row 1: .*{words}"):
            model.predict([TEXTS[0], value])


def test_all_bad_rows_are_named_up_to_ten(model):
    values = [TEXTS[0], "", TEXTS[1]] + [None] * 12
    with pytest.raises(MlflowException) as refusal:
        model.predict(pd.DataFrame({"image": values}))
    message = str(refusal.value)
    assert message.startswith(
        "13 of 15 rows cannot be used, counted from 0: row 1: empty text; row 3: no image (null);"
    )
    assert "row 11: " in message and "row 12" not in message and message.endswith("; and 3 more")


@pytest.mark.parametrize("explain", [False, True])
def test_reported_rows_lose_nobody_else_s_answer(explain, model, expected):
    bad = list((NO_IMAGE | MISSING).values())
    order = np.random.default_rng(1).permutation(len(bad) + 50)
    values = [(CONTENTS[place % 5] if place < 50 else bad[place - 50]) for place in order]
    table = model.predict(
        pd.DataFrame({"image": pd.Series(values, dtype=object)}), params={"invalid_rows": "report", "explain": explain}
    )
    good = order < 50
    assert list(table) == [*COLUMNS, *(["gradcam"] if explain else []), "error"]
    assert (table["error"].isna() == good).all()
    same(table[good].reset_index(drop=True), expected.iloc[order[good] % 5].reset_index(drop=True))
    assert table.loc[~good, table.columns != "error"].isna().all(axis=None)
    assert set(table.loc[~good, "error"]) >= {"empty text", "no image (null)", "empty file"}


def test_rows_that_are_all_bad_can_be_reported(model):
    table = model.predict(["", None], params={"invalid_rows": "report"})
    assert table["error"].tolist() == ["empty text", "no image (null)"]
    assert table[COLUMNS].isna().all(axis=None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: pd.DataFrame({"picture": TEXTS}), "there must be one column `image`; given: 'picture'"),
        (lambda: pd.DataFrame({"id": range(5), "image": TEXTS}), "given: 'id'; MLflow hands on only the first column"),
        (lambda: pd.DataFrame({"image": []}), "no images were given"),
        (lambda: [], "missing inputs"),  # MLflow's own words
    ],
    ids=["other", "order", "empty", "empty list"],
)
def test_input_without_images_is_refused(given, words, model):
    with pytest.raises(MlflowException, match=words):
        model.predict(given())


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"explain": "yes"}, "explain"),
        ({"explain": 1}, "explain"),
        ({"invalid_rows": "drop"}, "must be refuse or report"),
    ],
)
def test_wrong_params_are_refused(params, words, model):
    with pytest.raises(MlflowException, match=words):
        model.predict(TEXTS, params=params)


def test_overlays_come_with_the_same_answers(model, expected):
    table = model.predict(CONTENTS, params={"explain": True})
    same(table, expected)
    implementation = model.unwrap_python_model()
    pixels = np.stack([square_pixels(decode_image(content), IMAGENET.stored_size(32)) for content in CONTENTS])
    layer = ExplainedLayer(implementation.settings["gradcam_layer"])
    classes = expected["profession"].map(CLASSES.index).to_numpy()
    maps = saliency_maps(implementation.network, layer, IMAGENET.evaluation_input(pixels, 32), classes)
    for content, saliency, got in zip(CONTENTS, maps, table["gradcam"], strict=True):
        picture = IMAGENET.visible_square(decode_image(content), 224)
        shown = np.asarray(Image.open(io.BytesIO(got)))
        wanted = np.asarray(Image.open(io.BytesIO(overlay(picture, torch.from_numpy(saliency)))))
        assert np.abs(shown.astype(int) - wanted).max() <= 1
    assert not implementation.network.training
    assert not [module for module in implementation.network.modules() if module._forward_hooks]


def test_threads_that_explain_and_threads_that_do_not_disturb_nobody(model, expected):
    def ask(number: int) -> pd.DataFrame:
        return model.predict([CONTENTS[number % 5]], params={"explain": number % 2 == 0})

    with ThreadPoolExecutor(4) as pool:
        for number, table in enumerate(pool.map(ask, range(40))):
            same(table, expected.iloc[[number % 5]].reset_index(drop=True))
            assert ("gradcam" in table) == (number % 2 == 0)


@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_maps_and_some_overlays(model):
    implementation = model.unwrap_python_model()
    images = torch.randn(100, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    process = psutil.Process()
    sizes = []
    for _ in range(10):
        gradcam(implementation.network, ExplainedLayer("layer4.1"), images)
        model.predict(CONTENTS, params={"explain": True})
        gc.collect()
        sizes.append(process.memory_info().rss)
    assert sizes[-1] - sizes[2] < 16 * 2**20, sizes  # the first rounds grow the heap


WATCHED: list[str] = []
WATCHING = threading.Event()


def note(event: str, arguments: tuple) -> None:
    if WATCHING.is_set() and event in ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        WATCHED.append(f"{event} {arguments}")


def test_nothing_that_a_caller_names_is_opened(model, tmp_path):
    (tmp_path / "face.png").write_bytes(CONTENTS[0])
    path = str(tmp_path / "face.png")
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.2)
        address = f"127.0.0.1:{canary.getsockname()[1]}/face.png"
        named = [path, f"file://{path}", "face.png", "/dev/zero", f"http://{address}", f"https://{address}"]
        named += [f"s3://{address}", f"ftp://{address}", path.encode(), f"//{address}"]
        table = model.predict(TEXTS[:1], params={"invalid_rows": "report"})  # whatever is imported late is imported
        sys.addaudithook(note)  # there is no way to remove it
        WATCHING.set()
        try:
            table = model.predict(named, params={"invalid_rows": "report", "explain": True})
        finally:
            WATCHING.clear()
        assert table["error"].notna().all() and WATCHED == []
        with pytest.raises(TimeoutError):
            canary.accept()


def test_signature_and_example_are_valid(store, model):
    signature = model.metadata.signature
    assert [param.name for param in signature.params] == ["explain", "invalid_rows"]
    assert [column.name for column in signature.outputs] == [*COLUMNS, "gradcam", "error"]
    assert list(model.predict(model.input_example)) == COLUMNS
    folder = Path(mlflow.artifacts.download_artifacts("models:/fairprof-B@champion"))
    served = (folder / "serving_input_example.json").read_text()
    assert list(mlflow.models.utils._validate_serving_input(str(folder), served)) == COLUMNS


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
if "IMMEDIATE" in sys.argv[2]:
    connection.execute("update registered_models set description = 'held'")
print(connection.execute("select count(*) from registered_models").fetchall(), flush=True)
sys.stdin.read()
connection.execute("rollback")
"""


@pytest.mark.parametrize("transaction", ["BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_model_loads_while_another_process_holds_the_registry(transaction, store, expected):
    command = [sys.executable, "-c", HOLD, str(store / "mlflow.db"), transaction]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "[(1,)]\n"
        free = threading.Timer(1.0 if transaction == "BEGIN EXCLUSIVE" else 60.0, holder.stdin.close)
        free.start()
        try:
            same(mlflow.pyfunc.load_model("models:/fairprof-B@champion").predict(TEXTS), expected)
            if transaction == "BEGIN EXCLUSIVE":  # nobody can read meanwhile: it is waited for
                assert free.finished.is_set()
        finally:
            free.cancel()
            holder.stdin.close()


# --- over HTTP --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app(store):
    """MLflow's own app with the registered model in it, as `mlflow models serve` imports it."""
    name = "mlflow.pyfunc.scoring_server.app"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring_server, "_async_catch_mlflow_exception", scoring_server._async_catch_mlflow_exception)
        patch.setenv(scoring_server._SERVER_MODEL_PATH, "models:/fairprof-B@champion")
        patch.setenv(mlflow.environment_variables._MLFLOW_IS_IN_SERVING_ENVIRONMENT.name, "true")
        assert name not in sys.modules
        module = importlib.import_module(name)
        yield module.app
        del sys.modules[name]


@pytest.fixture(scope="module")
def port(app):
    """Where the app answers on the loopback interface."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(30)


JSON = {"Content-Type": "application/json"}


def asked(port: int, body: bytes | str, headers: dict | None = None, method: str = "POST", path: str = "/invocations"):
    """Status and text of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, JSON if headers is None else headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def parquet(frame: pd.DataFrame, **options) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, **options)
    return buffer.getvalue()


def file_of(table: pyarrow.Table, **options) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, **options)
    return buffer.getvalue()


def column(values, kind: pyarrow.DataType | None = None, name: str = "image", **options) -> bytes:
    values = values if isinstance(values, pyarrow.Array) else pyarrow.array(values, kind)
    return file_of(pyarrow.table({name: values}), **options)


CSV, PARQUET = {"Content-Type": "text/csv"}, {"Content-Type": "application/vnd.apache.parquet"}
REQUESTS = {
    "split": lambda: ({"dataframe_split": {"columns": ["image"], "data": [[text] for text in TEXTS]}}, JSON),
    "split with more": lambda: (
        {"dataframe_split": {"columns": ["id", "image"], "index": [4, 5, 6, 7, 8], "data": list(enumerate(TEXTS))}},
        {"Content-Type": "Application/JSON; charset=UTF-8"},
    ),
    "records": lambda: ({"dataframe_records": [{"image": text, "id": 1} for text in TEXTS]}, JSON),
    "inputs": lambda: ({"inputs": TEXTS, "params": {}}, JSON),
    "inputs by column": lambda: ({"inputs": {"image": TEXTS}, "params": None}, JSON),
    "instances": lambda: ({"instances": TEXTS, "params": {"explain": None}}, JSON),
    "instances as records": lambda: ({"instances": [{"image": text} for text in TEXTS]}, JSON),
    "csv": lambda: (pd.DataFrame({"id": range(5), "image": TEXTS}).to_csv(index=False), CSV),
    "csv as some spreadsheets write it": lambda: (
        pd.DataFrame({"image": TEXTS, "x": ""}).to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig"),
        CSV,
    ),
    "csv with lines in its cells": lambda: (
        pd.DataFrame({"image": [base64.encodebytes(content).decode() for content in CONTENTS]}).to_csv(index=False),
        CSV,
    ),
    "parquet of text": lambda: (parquet(pd.DataFrame({"image": TEXTS})), PARQUET),
    "parquet of bytes": lambda: (parquet(pd.DataFrame({"id": range(5), "image": CONTENTS})), PARQUET),
    "parquet, plain": lambda: (parquet(pd.DataFrame({"image": CONTENTS}), use_dictionary=False), PARQUET),
}


@pytest.mark.parametrize("form", REQUESTS)
def test_every_form_of_request_has_the_same_answer(form, port, expected):
    body, headers = REQUESTS[form]()
    status, text = asked(port, json.dumps(body) if isinstance(body, dict) else body, headers)
    assert status == 200, text
    table = pd.DataFrame(json.loads(text)["predictions"])
    same(table, expected)
    assert list(table) == COLUMNS


@pytest.mark.parametrize("body", [{"inputs": TEXTS[2]}, {"inputs": {"image": TEXTS[2]}}, {"instances": [TEXTS[2]]}])
def test_one_image_alone_is_answered_over_http(body, port, expected):
    status, text = asked(port, json.dumps(body))
    assert status == 200
    same(pd.DataFrame(json.loads(text)["predictions"]), expected.iloc[[2]].reset_index(drop=True))


def test_overlays_and_missing_values_travel_as_text_and_null(port, model):
    params = {"explain": True, "invalid_rows": "report"}
    status, text = asked(port, json.dumps({"inputs": [TEXTS[0], "/etc/passwd"], "params": params}))
    assert status == 200
    good, bad = json.loads(text, parse_constant=pytest.fail)["predictions"]  # NaN is no JSON
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(good["gradcam"], validate=True))))
    wanted = np.asarray(Image.open(io.BytesIO(model.predict(TEXTS[0], params={"explain": True})["gradcam"][0])))
    assert np.abs(shown.astype(int) - wanted).max() <= 1
    assert good["error"] is None and bad.pop("error") == "neither bytes nor base64 text of an image"
    assert set(bad) == {*COLUMNS, "gradcam"} and set(bad.values()) == {None}


def deep(levels: int) -> str:
    return '{"inputs": ' + "[" * levels + "]" * levels + "}"


SPLIT = '{"dataframe_split": {"columns": ["image"], "data": [[%s]]}}'
MALFORMED = {
    "no content type": ("{}", {}, 415, "the header Content-Type must be one of application/json, text/csv"),
    "an image": (CONTENTS[0], {"Content-Type": "image/png"}, 415, "the header Content-Type must be"),
    "a strange content type": ("{}", {"Content-Type": ";;="}, 415, "the header Content-Type must be"),
    "another charset": ("{}", {"Content-Type": "application/json; charset=utf-16"}, 415, "charset must be utf-8"),
    "a compressed body": ("{}", JSON | {"Content-Encoding": "gzip"}, 415, "must not be compressed"),
    "an empty body": ("", JSON, 400, "the body is not JSON"),
    "no json": (b"\x89PNG....", JSON, 400, "the body is not UTF-8 text"),
    "half of it": ('{"inputs": ["', JSON, 400, "the body is not JSON"),
    "deep nesting": (deep(100_000), JSON, 400, "nests too deep"),
    "a key twice": ('{"inputs": ["a"], "inputs": ["b"]}', JSON, 400, "a key twice"),
    "a long number": ('{"inputs": [' + "9" * 5000 + "]}", JSON, 400, "the body is not JSON"),
    "an infinite number": ('{"inputs": [1e999]}', JSON, 400, "row 0: neither bytes nor base64 text of an image, but"),
    "nan": (SPLIT % "NaN", JSON, 400, "row 0: no image (null)"),
    "null": (SPLIT % "null", JSON, 400, "row 0: no image (null)"),
    "a number": (SPLIT % "17", JSON, 400, "row 0: neither bytes nor base64 text of an image, but int"),
    "half a character": (SPLIT % '"\\ud800"', JSON, 400, "row 0: neither bytes nor base64 text of an image"),
    "an empty text": (SPLIT % '""', JSON, 400, "row 0: empty text"),
    "a list": ("[]", JSON, 400, "the body must be a JSON object with one of dataframe_split"),
    "nothing known": ('{"images": []}', JSON, 400, "the body must be a JSON object with one of"),
    "two of them": ('{"inputs": ["a"], "instances": ["a"]}', JSON, 400, "the body must be a JSON object with one of"),
    "for language models": (
        '{"messages": [{"role": "user"}]}',
        JSON,
        400,
        "the body must be a JSON object with one of",
    ),
    "a prompt": ('{"prompt": "x", "inputs": ["a"]}', JSON, 400, "the body must be a JSON object with one of"),
    "an empty batch": ('{"inputs": []}', JSON, 400, "no images were given"),
    "an empty frame": ('{"dataframe_split": {"columns": ["image"], "data": []}}', JSON, 400, "no images were given"),
    "no records": ('{"dataframe_records": []}', JSON, 400, "no images were given"),
    "another column": (SPLIT.replace("image", "picture") % '"x"', JSON, 400, "one column `image`; given: 'picture'"),
    "other records": ('{"dataframe_records": [{"a": 1}]}', JSON, 400, "one column `image`; given: 'a'"),
    "other inputs": ('{"inputs": {"a": [1]}}', JSON, 400, "one column `image`; given: 'a'"),
    "no columns": ('{"inputs": {}}', JSON, 400, "one column `image`; given: none"),
    "columns of strange kinds": (SPLIT.replace('["image"]', "[[1], null, {}]") % '"x"', JSON, 400, "given: '[1]', "),
    "columns that are none": (SPLIT.replace('["image"]', "7") % '"x"', JSON, 400, "given: '7'"),
    "the column twice": (SPLIT.replace('"image"', '"image", "image"') % '"x"', JSON, 400, "one column `image`"),
    "cells too many": (SPLIT % '"x", "y"', JSON, 400, "row 0: in dataframe_split data, a row is a list of 1 values"),
    "rows that are none": ('{"dataframe_split": {"data": ["x"]}}', JSON, 400, "row 0: in dataframe_split data"),
    "a frame that is none": ('{"dataframe_split": [1]}', JSON, 400, "dataframe_split must be an object"),
    "records that are none": ('{"dataframe_records": {"image": 1}}', JSON, 400, "dataframe_records must be a list"),
    "records and others": ('{"inputs": [{"image": "x"}, "y"]}', JSON, 400, "must be a list of objects"),
    "inputs null": ('{"inputs": null}', JSON, 400, "row 0: no image (null)"),
    "a record without": (
        '{"inputs": [{"image": ""}, {"a": 1}]}',
        JSON,
        400,
        "row 0: empty text; row 1: no image (null)",
    ),
    "params that are none": ('{"inputs": ["x"], "params": [1]}', JSON, 400, "params must be an object"),
    "an unknown parameter": (
        '{"inputs": ["x"], "params": {"explained": true}}',
        JSON,
        400,
        "unknown in params: 'explai",
    ),
    "a wrong parameter": (
        '{"inputs": ["x"], "params": {"explain": "true"}}',
        JSON,
        400,
        "explain must be true or false",
    ),
    "another parameter": ('{"inputs": ["x"], "params": {"invalid_rows": []}}', JSON, 400, "must be refuse or report"),
    "too many rows": (json.dumps({"inputs": ["x"] * (MAX_ROWS + 1)}), JSON, 413, f"more than {MAX_ROWS} rows"),
    "too many values": ("[" + "[]," * 20_000 + "[]]", JSON, 413, "more than 16,384 values"),
    "too many pixels": (
        SPLIT % json.dumps(base64.b64encode(png_header(30_000, 30_000)).decode()),
        JSON,
        400,
        "row 0: more than 50,000,000 pixels",
    ),
    "an empty csv": ("", CSV, 400, "not CSV with a header"),
    "a csv without rows": ("image\n", CSV, 400, "no images were given"),
    "a csv of many rows": ("image\n" + "x\n" * 100_000, CSV, 413, f"more than {MAX_ROWS} rows"),
    "a csv of something else": ("a,b\n1,2\n", CSV, 400, "one column `image`; given: 'a', 'b'"),
    "a csv of more cells": ("image\nx,y\n", CSV, 400, "row 0: the body is CSV with a row that has more cells than its"),
    "a csv of fewer cells": ("id,image\nx\n", CSV, 400, "row 0: no image (null)"),
    "an uneven csv": ("image\nx\nx,y,z\n", CSV, 400, "row 1: the body is CSV with a row that has more cells"),
    "a csv of equal names": (
        ",".join(["image"] * 16_000) + "\n",
        CSV,
        400,
        "one column `image`; given: 'image', 'image'",
    ),
    "a csv of short rows": ("x," * 16_000 + "image\n" + "y\n" * 9, CSV, 400, "9 of 9 rows cannot be used"),
    "a csv of empty lines": ("image\n" + "\n" * 10**6, CSV, 400, "no images were given"),
    "a csv of too many lines": ("image\n" + "\n" * 10**7, CSV, 413, "more than 4,194,304 lines"),
    "a csv with a huge open quote": ('image\n"' + "x" * 10**7, CSV, 400, "not CSV with a header"),
    "a csv of a huge cell": ("image\n" + "-" * 10**7, CSV, 400, "row 0: neither bytes nor base64 text"),
    "a csv with an open quote": ('image\n"x', CSV, 400, "not CSV with a header"),
    "a csv of null bytes": ("image\n\0\0", CSV, 400, "row 0: "),
    "no utf-8 csv": (b"image\n\xff", CSV, 400, "not UTF-8"),
    "no parquet": (b"PAR1 and no more", PARQUET, 400, "not a Parquet file"),
    "an empty parquet": (b"", PARQUET, 400, "not a Parquet file"),
    "half a parquet": (parquet(pd.DataFrame({"image": CONTENTS}))[200:], PARQUET, 400, "not a Parquet file"),
    "a parquet of something else": (parquet(pd.DataFrame({"a": [1]})), PARQUET, 400, "given: 'a'"),
    "a parquet of numbers": (
        parquet(pd.DataFrame({"image": [1]})),
        PARQUET,
        400,
        "neither bytes nor base64 text of images",
    ),
    "a parquet without rows": (parquet(pd.DataFrame({"image": CONTENTS[:0]})), PARQUET, 400, "no images were given"),
    "a parquet of many rows": (parquet(pd.DataFrame({"image": [""] * 10**6})), PARQUET, 413, "more than 256 rows"),
    "a parquet of no text": (
        column([b"aaaa"] * 3, pyarrow.string()).replace(b"aaaa", b"a\xff\xffa"),
        PARQUET,
        400,
        "not a Parquet file that can be read",
    ),
    "a parquet of two columns": (
        file_of(pyarrow.table([[b"a"], [b"b"]], names=["image", "image"])),
        PARQUET,
        400,
        "one column `image`; given: 'image', 'image'",
    ),
    "a parquet with the column within another": (
        column([{"image": b"a"}], name="face"),
        PARQUET,
        400,
        "one column `image`; given: 'face'",
    ),
    "a parquet of many columns": (
        file_of(pyarrow.table({str(number): [1] for number in range(2000)})),
        PARQUET,
        413,
        "more than 1,000 columns",
    ),
    "a parquet that expands": (column([bytes(2**26)] * 3, use_dictionary=False), PARQUET, 413, "once unpacked"),
    "a parquet of prefixes": (
        column([b"x" * 2**20] * 200, use_dictionary=False, column_encoding={"image": "DELTA_BYTE_ARRAY"}),
        PARQUET,
        400,
        "not a Parquet file that can be read",
    ),
    "a parquet that says it is encrypted": (
        column([b"x"]).replace(b"PAR1", b"PARE"),
        PARQUET,
        400,
        "not a Parquet file that can be read",
    ),
}
OF_NO_IMAGES = {  # a type of column each, with values that overflow when they become Python's
    "days": pyarrow.array([2**31 - 1], pyarrow.date32()),
    "moments": pyarrow.array([2**62], pyarrow.timestamp("us")),
    "moments of a zone": pyarrow.array([2**62], pyarrow.timestamp("us", tz="Nowhere/None")),
    "times": pyarrow.array([2**62], pyarrow.time64("us")),
    "spans": pyarrow.array([2**62], pyarrow.duration("us")),
    "decimals": pyarrow.array([None], pyarrow.decimal128(38, 2)),
    "lists": pyarrow.array([[b"x"]]),
    "structures": pyarrow.array([{"image": b"x"}]),
    "maps": pyarrow.array([[("a", b"x")]], pyarrow.map_(pyarrow.string(), pyarrow.binary())),
    "bytes of one length": pyarrow.array([b"abc"], pyarrow.binary(3)),
}


@pytest.mark.parametrize("kind", OF_NO_IMAGES)
def test_a_parquet_column_of_anything_but_bytes_and_text_is_not_read(kind, port):
    status, text = asked(port, column(OF_NO_IMAGES[kind]), PARQUET)
    assert status == 400 and len(text.splitlines()) == 1
    assert "the column image holds neither bytes nor base64 text of images, but " in json.loads(text)["message"]


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "binary", "large_binary", "binary_view"])
def test_parquet_has_images_as_any_kind_of_bytes_and_text(kind, port, expected):
    values = TEXTS if "string" in kind else CONTENTS
    status, text = asked(port, column(values, getattr(pyarrow, kind)()), PARQUET)
    assert status == 200, text
    same(pd.DataFrame(json.loads(text)["predictions"]), expected)


# --- Parquet that its library would not survive: its description of itself, written by hand ------------------------


def varint(number: int) -> bytes:
    head = b""
    while number > 127:
        head += bytes([number & 127 | 128])
        number >>= 7
    return head + bytes([number])


def whole(number: int) -> bytes:
    return varint(number * 2 if number >= 0 else -number * 2 - 1)


def structure(*fields: tuple[int, int, bytes]) -> bytes:
    """Of (number, kind, content)."""
    numbers = [0, *(number for number, _, _ in fields)]
    return b"".join(
        bytes([(number - before) << 4 | kind]) + content
        for (number, kind, content), before in zip(fields, numbers, strict=False)
    ) + bytes(1)


def structures(*items: bytes) -> bytes:
    return b"\xfc" + varint(len(items)) + b"".join(items)


def element(name: bytes, children: int = 0) -> bytes:
    kind = () if children else ((1, 5, whole(6)),)  # byte arrays
    nested = ((5, 5, whole(children)),) if children else ()
    return structure(*kind, (3, 5, whole(0)), (4, 8, varint(len(name)) + name), *nested)


def by_hand(schema: list[bytes], pages: bytes = b"", rows: int = 1, packed: int | None = None) -> bytes:
    """A Parquet file of one row group, whose description says little of its pages: packed: what it says they take."""
    size = len(pages) if packed is None else packed
    description = structure(
        *((1, 5, whole(6)), (2, 9, b"\x15\x00"), (3, 9, b"\x18\x05image"), (4, 5, whole(2))),
        *((5, 6, whole(rows)), (6, 6, whole(9)), (7, 6, whole(size)), (9, 6, whole(4))),
    )
    chunk = structure((2, 6, whole(4)), (3, 12, description))
    group = structure((1, 9, structures(chunk)), (2, 6, whole(9)), (3, 6, whole(rows)))
    footer = structure((1, 5, whole(1)), (2, 9, structures(*schema)), (3, 6, whole(rows)), (4, 9, structures(group)))
    return b"PAR1" + pages + footer + struct.pack("<I", len(footer)) + b"PAR1"


def page(unpacked: int, content: bytes) -> bytes:
    """A page of data with one plain value, packed with gzip."""
    of_data = structure((1, 5, whole(1)), (2, 5, whole(0)), (3, 5, whole(3)), (4, 5, whole(3)))
    return structure((1, 5, whole(0)), (2, 5, whole(unpacked)), (3, 5, whole(len(content))), (5, 12, of_data)) + content


FLAT = [element(b"schema", 1), element(b"image")]


def test_a_parquet_file_by_hand_is_one(port, expected):
    value = struct.pack("<I", len(CONTENTS[0])) + CONTENTS[0]
    status, text = asked(port, by_hand(FLAT, page(len(value), gzip.compress(value))), PARQUET)
    assert status == 200, text
    same(pd.DataFrame(json.loads(text)["predictions"]), expected.iloc[[0]])


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (by_hand([element(b"a", 1)] * 60_000 + [element(b"image")]), 413, "more than 1,000 columns"),
        (by_hand([element(b"image", 1)] * 900 + [element(b"image")]), 400, ""),
        (by_hand(FLAT, page(2**29, gzip.compress(bytes(2**29)))), 413, "134,217,728 bytes once unpacked"),
        (by_hand(FLAT, page(2**31 - 1, b"x")), 413, "134,217,728 bytes once unpacked"),
        (by_hand(FLAT, page(-5, b"x")), 400, "not a Parquet file"),
        (by_hand(FLAT, page(4, gzip.compress(bytes(4))) * 2000), 413, "1,024 pages"),
        (by_hand(FLAT, page(4, b"abcd"), packed=2**40), 400, "not a Parquet file"),
        (by_hand(FLAT, page(4, b"abcd"), packed=-8), 400, "not a Parquet file"),
        (by_hand(FLAT, page(4, b"abcd"), rows=-1), 400, "not a Parquet file"),
        (by_hand(FLAT, page(4, b"abcd"), rows=2**40), 413, "more than 256 rows"),
        (by_hand(FLAT * 2, page(4, b"abcd")), 400, "not a Parquet file"),
        (b"PAR1" + b"\x4c" * 50_000 + struct.pack("<I", 50_000) + b"PAR1", 400, "not a Parquet file"),
        (b"PAR1" + b"\x19\xf7" + b"\xff" * 8 + b"\x7f" + struct.pack("<I", 11) + b"PAR1", 400, "not a Parquet file"),
        (b"PAR1" + bytes(2**21) + struct.pack("<I", 2**21) + b"PAR1", 413, "a footer of more than 1,048,576 bytes"),
    ],
    ids=(
        "deep,less deep,gzip bomb,huge page,negative page,many pages,outside,negative column,negative rows,rows,"
        "schema twice,nested structures,endless list,long footer"
    ).split(","),
)
def test_parquet_that_says_untruths_of_itself_neither_stops_the_server_nor_fills_memory(body, status, words, port):
    before = psutil.Process().memory_info().rss
    started = time.monotonic()
    got, text = asked(port, body, PARQUET)
    assert got == status and words in json.loads(text)["message"] and len(text.splitlines()) == 1, text
    assert time.monotonic() - started < 10 and psutil.Process().memory_info().rss - before < 2**28


@pytest.mark.parametrize("form", ["dictionary", "plain", "groups", "second version"])
def test_parquet_damaged_anywhere_is_answered(form, model):
    """In this process, which the library's failed assertions would end."""
    body = {
        "dictionary": lambda: parquet(pd.DataFrame({"image": CONTENTS * 3})),
        "plain": lambda: parquet(pd.DataFrame({"image": ["eA=="] * 9}), use_dictionary=False),
        "groups": lambda: column([b"x", None] * 5, row_group_size=3, write_page_index=True),
        "second version": lambda: column(["x", "y"] * 5, data_page_version="2.0", compression="zstd"),
    }[form]()
    classifier = model.unwrap_python_model()
    answer = type(classifier).predicted.__globals__["answer"]  # of the model's own code
    assert answer(classifier, PARQUET["Content-Type"], body)[0] in (200, 400)
    generator = np.random.default_rng(0)
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    statuses = set()
    for number in range(400):
        damaged = bytearray(body)
        for _ in range(generator.integers(1, 4)):
            place = generator.integers(footer if number % 2 else 4, len(body))
            damaged[place] = generator.integers(256) if number % 3 else damaged[place] ^ (1 << generator.integers(8))
        status, text = answer(classifier, PARQUET["Content-Type"], bytes(damaged))
        assert status in (200, 400, 413) and len(text.splitlines()) == 1, (number, text)
        statuses.add(status)
    assert 400 in statuses


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_request_is_answered_in_one_line(case, port):
    body, headers, status, words = MALFORMED[case]
    got, text = asked(port, body, headers)
    assert (got, len(text.splitlines())) == (status, 1), text
    answer = json.loads(text)
    assert set(answer) == {"error_code", "message"} and words in answer["message"], answer
    assert "\n" not in answer["message"] and len(answer["message"]) < 300


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/invocations", 405), ("PUT", "/invocations", 405), ("POST", "/ping", 405), ("POST", "/invocation", 404)],
)
def test_other_methods_and_addresses_are_4xx(method, path, status, port):
    got, text = asked(port, "{}", JSON, method, path)
    assert got == status and len(text.splitlines()) == 1


def test_bad_rows_of_a_request_are_all_named(port):
    values = [TEXTS[0], "/etc/passwd", TEXTS[1], None]
    status, text = asked(port, json.dumps({"inputs": values}))
    assert status == 400
    assert json.loads(text)["message"] == (
        "2 of 4 rows cannot be used, counted from 0: row 1: neither bytes nor base64 text of an image; "
        "row 3: no image (null)"
    )


def test_a_body_that_says_it_is_too_long_is_not_read(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 999999999999\r\n\r\n{"
        )
        answer = b""
        while not answer.endswith(b"}"):
            answer += client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"longer than 134,217,728 bytes" in answer


def test_a_body_that_turns_out_too_long_is_given_up(port, app, model, monkeypatch):
    (handler,) = (route.endpoint for route in app.routes if route.path == "/invocations")
    monkeypatch.setitem(handler.__globals__, "MAX_BODY", 2**16)
    status, text = asked(port, (b" " * 1000 for _ in range(100)))  # in chunks, without a length
    assert status == 413 and "longer than 65,536 bytes" in text
    assert asked(port, json.dumps({"inputs": TEXTS[0]}))[0] == 200


def test_a_body_that_breaks_off_disturbs_nobody(port):
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 99\r\n\r\nim"
            )
    assert asked(port, json.dumps({"inputs": TEXTS[0]}))[0] == 200


def test_a_fault_of_the_model_is_one_line_and_its_traceback_is_in_the_log(port, app, monkeypatch, caplog):
    (handler,) = (route.endpoint for route in app.routes if route.path == "/invocations")

    def fail(*arguments):
        raise ZeroDivisionError("a fault of the program")

    monkeypatch.setitem(handler.__globals__, "decode_image", fail)
    status, text = asked(port, json.dumps({"inputs": TEXTS[0]}))
    assert status == 500 and "fault" not in text and len(text.splitlines()) == 1
    assert json.loads(text)["message"] == "the model failed on this request; the server's log says why"
    assert "ZeroDivisionError: a fault of the program" in caplog.text and "Traceback" in caplog.text


def test_pictures_of_too_many_pixels_together_are_given_up(port, app, monkeypatch):
    (handler,) = (route.endpoint for route in app.routes if route.path == "/invocations")
    monkeypatch.setitem(handler.__globals__, "MAX_REQUEST_DECODING", 40_000)
    large = base64.b64encode(encoded(Image.new("L", (100, 100)))).decode()
    assert asked(port, json.dumps({"inputs": [large] * 4}))[0] == 200
    status, text = asked(port, json.dumps({"inputs": [large] * 4 + [TEXTS[0]]}))
    assert status == 413 and "too many pixels for one request" in text


def test_one_large_value_in_many_rows_of_parquet_stays_small(port):
    values = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 200, pyarrow.int32()), [b"x" * 2**23])
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"image": values}), buffer)
    before = psutil.Process().memory_info().rss
    status, text = asked(port, buffer.getvalue(), PARQUET)
    assert status == 400 and "200 of 200 rows cannot be used" in text
    assert psutil.Process().memory_info().rss - before < 200 * 2**20


def test_scoring_servers_of_others_are_left_alone(store, monkeypatch):
    kept = object()
    monkeypatch.setattr(scoring_server, "_async_catch_mlflow_exception", kept)
    monkeypatch.delitem(sys.modules, "mlflow.pyfunc.scoring_server.app", raising=False)
    mlflow.pyfunc.load_model("models:/fairprof-B@champion")
    assert scoring_server._async_catch_mlflow_exception is kept


def test_an_mlflow_that_has_changed_serves_by_its_own_rules(store, monkeypatch, caplog):
    monkeypatch.delattr(scoring_server, "_async_catch_mlflow_exception")
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc.scoring_server.app", scoring_server)
    mlflow.pyfunc.load_model("models:/fairprof-B@champion")
    assert "answers requests by its own rules" in caplog.text


# --- a model that decides by the group --------------------------------------------------------------------------

BY_GROUP = DecisionRule(
    offsets=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), attributes=("gender", "race"), groups=(("w", "x"), ("m", "y"))
)
GENDERS, RACES, TOLD = (
    ["w", "w", "m", "m", "w"],
    ["x", "x", "y", "y", "x"],
    ["cook", "cook", "driver", "driver", "cook"],
)


@pytest.fixture(scope="module")
def by_group(store):
    """A version of fairprof-C whose rule gives w, x the first class, and m, y the second."""
    classifier = build_classifier("resnet18", "random", "all", len(CLASSES), seed=0)
    with tracking.started_run("C-seed0", {}):
        registered = register_in_active_run(
            classifier.network.state_dict(),
            classifier.explained_layer,
            Settings(experiment="C", architecture="resnet18", image_size=32, mitigation="linear_post"),
            CLASSES,
            {"best_val/macro_f1": 0.5},
            rule=BY_GROUP,
            method=ToldMethod("linear_post", "validation, prediction", "Shifted by group."),
        )
    return mlflow.pyfunc.load_model(f"models:/{registered.name}/{registered.version}")


def frame_by_group(**changed) -> pd.DataFrame:
    return pd.DataFrame({"image": TEXTS, "gender": GENDERS, "race": RACES, **changed})


@pytest.mark.parametrize("explain", [False, True])
def test_a_rule_by_group_decides_on_the_class_and_its_probability_is_the_one_told(explain, by_group, expected):
    table = by_group.predict(frame_by_group(), params={"explain": explain})
    assert table["profession"].tolist() == TOLD
    assert np.allclose(table[COLUMNS[2:]], expected[COLUMNS[2:]], atol=1e-6)
    own = [table[f"probability_{name}"][row] for row, name in enumerate(TOLD)]
    assert table["probability"].tolist() == own


def test_a_version_with_a_mitigation_is_no_champion_and_says_what_it_needs(by_group):
    client = mlflow.MlflowClient()
    version = client.get_model_version("fairprof-C", "1")
    assert version.tags["fairprof.mitigation"] == "linear_post"
    assert version.tags["fairprof.needs"] == "validation, prediction"
    assert "made with linear_post: load it by number" in version.tags["fairprof.champion"]
    assert "Shifted by group." in version.description
    assert "`gender` and `race`, by which it decides" in version.description
    assert "champion" not in client.get_registered_model("fairprof-C").aliases
    with pytest.raises(UserError, match="fairprof-C has no champion.*name a version by its number"):
        load_stored("C")
    assert load_stored("C/1").rule == BY_GROUP


GROUPED_REQUESTS = {
    "split": lambda frame: (json.dumps({"dataframe_split": frame.to_dict("split")}), JSON),
    "records": lambda frame: (json.dumps({"dataframe_records": frame.to_dict("records")}), JSON),
    "inputs": lambda frame: (json.dumps({"inputs": frame.to_dict("list")}), JSON),
    "csv": lambda frame: (frame.to_csv(index=False), CSV),
    "parquet": lambda frame: (parquet(frame), PARQUET),
}


@pytest.mark.parametrize("form", GROUPED_REQUESTS)
def test_the_group_travels_with_every_form_of_request_and_is_asked_for_where_it_is_missing(form, by_group):
    classifier = by_group.unwrap_python_model()
    answer = type(classifier).predicted.__globals__["answer"]  # of the model's own code

    def answered(frame: pd.DataFrame) -> tuple[int, dict]:
        body, headers = GROUPED_REQUESTS[form](frame)
        encoded_body = body.encode() if isinstance(body, str) else body
        status, text = answer(classifier, headers["Content-Type"], encoded_body)
        return status, json.loads(text)

    status, said = answered(frame_by_group())
    assert status == 200, said
    assert [row["profession"] for row in said["predictions"]] == TOLD
    status, said = answered(frame_by_group().drop(columns="race"))
    assert status == 400
    assert "one each of the columns `image` and `gender` and `race` (the model decides by the group" in said["message"]
    status, said = answered(frame_by_group(race=["x", "x", "z", "y", "x"]))
    assert status == 400
    assert "row 2: the model knows no gender 'm' and race 'z'; it knows w and x, m and y" in said["message"]


def test_an_unknown_group_is_reported_where_that_is_asked_for(by_group):
    table = by_group.predict(frame_by_group(gender=["w", None, "m", "m", "w"]), params={"invalid_rows": "report"})
    assert table["profession"].isna().tolist() == [False, True, False, False, False]
    assert table["error"][1] == "the model knows no gender null and race 'x'; it knows w and x, m and y"


def test_images_without_groups_are_refused_by_a_model_that_decides_by_them(by_group):
    with pytest.raises(MlflowException, match="`image` and `gender` and `race`"):
        by_group.predict(pd.DataFrame({"image": TEXTS}))
    with pytest.raises(MlflowException):
        by_group.predict(TEXTS)


def test_a_rule_is_the_same_after_json_and_chance_is_the_images_own():
    assert DecisionRule.of_json(json.loads(json.dumps(BY_GROUP.as_json()))) == BY_GROUP
    rule = DecisionRule(offsets=((0.0,) * 3,), groups=(("all",),), attributes=("gender",))
    probabilities, groups = np.full((400, 3), 1 / 3), np.zeros(400, dtype=int)
    assert rule.tied(probabilities, groups, np.empty((400, 0))).all()
    assert len(set(rule.decide(probabilities, groups, np.empty((400, 0))))) == 1  # the same image, the same answer
    generator = np.random.default_rng(0)
    tied = np.sort(generator.dirichlet(np.ones(3), 3000), axis=1)
    tied[:, 1] = tied[:, 2]
    tied /= tied.sum(axis=1, keepdims=True)
    shares = np.bincount(rule.decide(tied, np.zeros(3000, dtype=int), np.empty((3000, 0))), minlength=3) / 3000
    assert shares[0] == 0
    assert abs(shares[1] - 0.5) < 0.04
