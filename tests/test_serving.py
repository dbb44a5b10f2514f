"""Decoding, preprocessing and the network of the registered model."""

import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fairprof.serving import (
    MAX_BYTES,
    UndecodableImage,
    build_network,
    decode_image,
    evaluation_input,
    normalise,
    square_pixels,
    stored_size,
)

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
    assert [stored_size(edge) for edge in (224, 32, 64, 448)] == [256, 37, 73, 512]


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
    torch.testing.assert_close(normalise(pixels).flatten(), torch.tensor(expected), rtol=0, atol=1e-6)


def test_evaluation_input_is_the_normalised_centre_channels_first():
    stored = np.random.default_rng(2).integers(0, 256, (5, 37, 37, 3), dtype=np.uint8)
    got = evaluation_input(stored, 32)
    assert got.shape == (5, 3, 32, 32) and got.dtype == torch.float32
    centre = stored[:, 2:34, 2:34] / 255  # 5 pixels too many: 2 before, 3 behind, as torchvision rounds 2.5
    expected = (centre - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(got.movedim(1, -1).numpy(), expected, atol=1e-6)
    torch.testing.assert_close(evaluation_input(stored[3], 32), got[3], rtol=0, atol=0)


@pytest.mark.parametrize(("architecture", "features"), [("resnet18", 512), ("mobilenet_v3_small", 1024)])
def test_the_last_linear_layer_becomes_the_study_s_head(architecture, features):
    network = build_network(architecture, 4)
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
        build_network(architecture, 4)
