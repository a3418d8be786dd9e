import pytest

from medfit.data.readers.units import factor


@pytest.mark.parametrize(
    ("old", "new", "times"),
    [
        ("mV", "uV", 1000), ("uV", "mV", 1 / 1000), ("V", "mV", 1000), ("nV", "uV", 1 / 1000), ("mV", "MV", 1),
        ("\N{MICRO SIGN}V", "uV", 1), ("\N{GREEK SMALL LETTER MU}V", "uV", 1), ("microvolt", "mV", 1 / 1000),
        ("microvol", "uV", 1), ("uVolts", "mV", 1 / 1000), ("millivolts", "Volt", 1 / 1000), ("AuV", "uV", 1),
        ("", "mV", 1), ("mmHg", "", 1), ("mmHg", " MMHG ", 1),
    ],
)  # fmt: skip
def test_a_unit_becomes_another_by_a_factor(old, new, times):
    assert factor(old, new) == pytest.approx(times)


@pytest.mark.parametrize(("old", "new"), [("mV", "mmHg"), ("mmHg", "kPa"), ("bpm", "uV")])
def test_units_of_other_things_have_no_factor(old, new):
    assert factor(old, new) is None
