"""Whatever happens to a file of a sealed folder is found, and nothing else is."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from fairprof.runtime import checksums
from fairprof.runtime.checksums import CHECKSUMS, damage_of, regular_size, seal
from tests.damages import DAMAGES, flip_bit


@pytest.fixture
def sealed(tmp_path, monkeypatch) -> Path:
    """A folder with a file of 2.5 pieces, a small one in a sub-folder, and an empty one."""
    monkeypatch.setattr(checksums, "PIECE", 1000)
    folder = tmp_path / "sealed"
    (folder / "deep").mkdir(parents=True)
    (folder / "large").write_bytes(np.random.default_rng(1).bytes(2500))
    (folder / "deep" / "small").write_bytes(b"a few words")
    (folder / "empty").touch()
    seal(folder)
    return folder


def test_a_folder_as_it_was_sealed_is_undamaged_wherever_it_is_moved(sealed, tmp_path):
    assert damage_of(sealed) == ""
    assert damage_of(sealed.rename(tmp_path / "moved")) == ""


def test_checksums_are_crc_32_by_piece(sealed):
    text = (sealed / CHECKSUMS).read_text()
    large = (sealed / "large").read_bytes()
    pieces = [zlib.crc32(large[start : start + 1000]) for start in (0, 1000, 2000)]
    assert f'"large": [2500, {pieces}]' in text and '"empty": [0, []]' in text


def test_what_has_come_into_the_folder_since_is_no_damage(sealed):
    (sealed / ".DS_Store").write_bytes(b"x")
    assert damage_of(sealed) == ""


@pytest.mark.parametrize("name", ["large", "deep/small", CHECKSUMS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_of_every_file_is_found_and_the_file_is_named(name, damage, sealed):
    DAMAGES[damage](sealed / name)
    found = damage_of(sealed)
    assert found.startswith(f"{name}: "), found


@pytest.mark.parametrize("place", [0, 999, 1000, 2000, 2499])
def test_a_bit_that_flips_in_any_piece_is_found(place, sealed):
    flip_bit(sealed / "large", place)
    assert damage_of(sealed) == "large: not as it was written"


def test_how_much_is_missing_is_said(sealed):
    os.truncate(sealed / "large", 2400)
    assert damage_of(sealed) == "large: 2,400 bytes of 2,500"


def test_a_whole_folder_may_have_gone_or_become_something_else(sealed, tmp_path):
    (tmp_path / "link").symlink_to(sealed)
    (tmp_path / "file").write_text("x")
    for name in ("link", "file", "none"):
        assert damage_of(tmp_path / name) == "no folder"
    (tmp_path / "unsealed").mkdir()
    assert damage_of(tmp_path / "unsealed") == f"{CHECKSUMS}: missing"


def test_only_regular_files_have_a_size(tmp_path):
    (tmp_path / "file").write_bytes(bytes(7))
    assert regular_size(tmp_path / "file") == 7
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(OSError, match="no regular file"):
            regular_size(path)
    with pytest.raises(FileNotFoundError):
        regular_size(tmp_path / "none")
