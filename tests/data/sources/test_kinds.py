"""Which kinds of data sets there are, and what of them may be shown."""

import pytest

from fairprof.data.sources.kinds import shows_faces, to_be_named, without_its_folders


@pytest.mark.parametrize(
    ("data", "allowed", "shown"),
    [
        ("synthetic", False, True),
        ("synthetic", True, True),
        ("utkface:faces", False, False),
        ("utkface:faces", True, True),
        ("manifest:labels.csv", False, False),
        ("shards:synthetic", False, False),
    ],
)
def test_people_are_shown_where_somebody_has_said_so_and_generated_portraits_always(data, allowed, shown):
    assert shows_faces(data, allowed) is shown


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("synthetic", "synthetic"),
        ("utkface:/home/somebody/faces", "utkface:FOLDER"),
        ("manifest:faces.csv", "manifest:FILE"),
        ("shards:faces", "shards:FOLDER"),
    ],
)
def test_others_have_their_copies_elsewhere(data, named):
    assert to_be_named(data) == named


def test_messages_keep_what_they_say_and_lose_the_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some").mkdir()
    message = f"utkface:some/faces: {tmp_path / 'some' / 'faces'} holds no images, some.. ./ are hidden"
    assert without_its_folders(message, "utkface:some/faces") == (
        "utkface:faces: faces holds no images, some.. ./ are hidden"
    )
    assert without_its_folders("utkface:. is empty.", "utkface:.") == "utkface:. is empty."
    assert without_its_folders("synthetic: as it is", "synthetic") == "synthetic: as it is"
