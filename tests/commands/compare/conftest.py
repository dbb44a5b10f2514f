"""Tables of a made comparison, for all tests of pictures and reports."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

# The tests are no package: their modules cannot import each other by name.
_specification = spec_from_file_location("made_tables", Path(__file__).with_name("made_tables.py"))
_made_tables = module_from_spec(_specification)
_specification.loader.exec_module(_made_tables)


@pytest.fixture(scope="session")
def make_tables():
    """`make_tables(designs, seeds, arms, races, classes, epochs, seed)`: tables of a comparison, by name."""
    return _made_tables.make_tables


@pytest.fixture(scope="session")
def usual_tables(make_tables):
    """A comparison of four designs with six seeds, seven races and one arm, for tests that change nothing in it."""
    return make_tables()


@pytest.fixture
def tables(usual_tables):
    """The same, for the test alone."""
    return {name: table.copy() for name, table in usual_tables.items()}
