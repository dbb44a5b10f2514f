"""Which kinds of data sets there are, and what of them may be shown."""

import pytest

from fairprof.data.sources.kinds import shows_faces


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
