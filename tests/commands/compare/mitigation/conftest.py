"""A made comparison of methods, for all tests of its tables, pictures and report."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

# The tests are no package: their modules cannot import each other by name.
_specification = spec_from_file_location("made_mitigation", Path(__file__).with_name("made_mitigation.py"))
_made_mitigation = module_from_spec(_specification)
_specification.loader.exec_module(_made_mitigation)


@pytest.fixture(scope="session")
def made_mitigation():
    """`made_mitigation(designs, methods, seeds, images, seed)`: runs by method, the study, predictions by selection."""
    return _made_mitigation.made_mitigation
