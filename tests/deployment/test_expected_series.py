import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfit.data.datasets.series import Series
from medfit.data.preprocessing.series import SeriesPreprocessing
from medfit.deployment.expected_series import Expected, expected, fitting, joined_series
from medfit.errors import UserError


@dataclass
class New:
    x: np.ndarray
    channels: list[str]
    sampling_rate_hz: float | None


def data_set(lengths):
    x = [np.sin(np.arange(length)[None]) for length in lengths]
    about = {"name": "made", "y": np.ones((len(x), 1), np.float32), "task": "binary", "target_names": ["ill"]}
    return Series(x=x, channels=["ecg"], sampling_rate_hz=50, **about)


@given(
    st.lists(st.integers(8, 40), min_size=1, max_size=4),
    st.sampled_from(["pad", "crop", 5, 20, 60]),
    st.sampled_from([None, 30, 50, 73]),
    st.booleans(),
    st.integers(1, 90),
)
def test_what_fits_the_preprocessing_takes_and_lengths_of_training_fit(lengths, length, resample_hz, difference, new):
    data, rows = data_set(lengths), np.arange(len(lengths))
    settings = {"length": length, "resample_hz": resample_hz, "difference": difference, "scaling": "none"}
    fitted = SeriesPreprocessing(data, **settings).fit(rows)
    wanted = Expected.of_values(json.loads(json.dumps(expected(data, rows, settings))))
    fit, remarks = fitting(np.cos(np.arange(new)[None]), wanted)
    assert fit is not None or new < min(lengths)
    assert bool(remarks) >= (fit is None)
    if fit is not None:
        assert fitted.apply(New(fit[None], ["ecg"], 50)).shape[2] == fitted.length


def test_several_trainings_expect_the_series_of_all():
    data = data_set([20, 30, 40])
    whole, *parts = (expected(data, np.array(rows), {}) for rows in ([0, 1, 2], [0, 1], [2]))
    joined = joined_series(parts)
    (signal,), (one,), (other,) = (about["signals"] for about in (joined, *parts))
    assert (signal["low"], signal["high"]) == (min(one["low"], other["low"]), max(one["high"], other["high"]))
    assert (signal["least"], signal["most"]) == (min(one["least"], other["least"]), max(one["most"], other["most"]))
    assert {key: value for key, value in joined.items() if key != "signals"} == {
        key: value for key, value in whole.items() if key != "signals"
    }
    flat = {**parts[1], "signals": [{**other, "flat": True, "missing": True}]}
    (signal,) = joined_series([parts[0], flat])["signals"]
    assert signal["flat"] and signal["missing"]


@pytest.mark.parametrize(
    "change", [{"rate_hz": 60}, {"fewest": 9}, {"signals": [{"name": "ecg", "unit": "mV"}]}, {"crops": True}]
)
def test_trainings_that_take_other_series_are_not_joined(change):
    about = expected(data_set([20, 30]), np.arange(2), {})
    with pytest.raises(UserError, match="^trainings that take different series make no ensemble$"):
        joined_series([about, {**about, **change}])
