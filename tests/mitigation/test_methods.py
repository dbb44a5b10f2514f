"""The records of the methods, and the settings that name them."""

from fairprof.config import MITIGATIONS
from fairprof.mitigation.methods import METHODS


def test_settings_and_records_know_the_same_methods():
    assert list(METHODS) == list(MITIGATIONS)
