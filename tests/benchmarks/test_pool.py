"""Labels of a million images: loaded and drawn from in little memory."""

import pandas as pd
import pytest

from benchmarks.pool import measure_fairface, measure_pool


@pytest.mark.slow
def test_a_pool_is_measured_in_a_process_of_its_own():
    hog = pd.Series(range(50_000_000))  # 0.4 GiB of this process, which are none of the pool's
    measured = measure_pool(5_000, ".parquet")
    assert len(hog) and measured["rows"] == 5_000
    assert measured["load_seconds"] > 0 and measured["draw_seconds"] > 0
    assert 0.1 < measured["peak_gib"] < 1.2


@pytest.mark.slow
def test_fairface_s_labels_are_measured(shared):
    measured = measure_fairface(shared / "data" / "fairface")
    assert measured["rows"] == 97_698
    assert measured["peak_gib"] < 2


@pytest.mark.slow
def test_a_million_labels_stay_within_two_gib():
    measured = measure_pool(1_000_000)
    assert measured["rows"] == 1_000_000
    assert measured["peak_gib"] < 2
