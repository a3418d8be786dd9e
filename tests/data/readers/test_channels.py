from pathlib import Path

import pytest

from medfit.data.readers.channels import folded, lost, unified
from medfit.data.readers.headers import Header
from medfit.errors import UserError


def header(*channels, name="a.edf"):
    return Header(Path(name), name, channels, [100.0] * len(channels), ["uV"] * len(channels))


def names(*headers, channels=None, channel_names=None):
    return [list(made.channels) for made in unified(headers, channels, channel_names)[0]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("aVR", "AVR"),
        ("EEG Fpz-Cz", "FPZ-CZ"),
        ("ECG_II", "Lead II"),
        ("DII", "ii"),
        ("T3", "T7"),
        ("t6-A1", "EEG P8-A1"),
    ],
)
def test_these_are_one_channel(one, other):
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("aVR", "-aVR"), ("MLII", "II"), ("C3-A2", "C3-M2"), ("C3-LE", "C3"), ("I", "II"), ("EEG", "ECG")],
)
def test_these_are_two(one, other):
    assert folded(one) != folded(other)


def test_the_first_recordings_spelling_holds():
    assert names(header("aVR", "V1"), header("v1", "AVR")) == [["aVR", "V1"], ["V1", "aVR"]]


def test_the_spelling_that_is_asked_for_holds():
    assert names(header("aVR"), header("AVR"), channels=["avr"]) == [["avr"], ["avr"]]


def test_two_channels_of_a_recording_stay_two():
    assert names(header("ECG II", "II"), header("II", "ecg ii")) == [["ECG II", "II"], ["II", "ecg ii"]]


def test_names_that_change_are_told():
    told = unified([header("aVR", "T3"), header("AVR", "T7")], None, None)[1]
    assert told == "; channels spelt in several ways are one: aVR (AVR), T3 (T7)"


def test_where_all_are_spelt_alike_nothing_is_told():
    assert unified([header("aVR"), header("aVR")], None, None)[1] == ""


def test_the_users_own_names_come_first():
    assert names(header("MLII"), header("ii"), channel_names={"MLII": "II"}) == [["II"], ["II"]]


def test_a_name_to_replace_that_is_nowhere_is_told():
    with pytest.raises(
        UserError, match=r"^dataset.channel_names: no recording has a channel 'MLI'; did you mean 'MLII'?"
    ):
        unified([header("MLII")], None, {"MLI": "II"})


def test_two_channels_that_become_one_are_refused():
    with pytest.raises(UserError, match=r"^dataset.channel_names: two channels of 'a.edf' would be 'II'$"):
        unified([header("MLII", "II")], None, {"MLII": "II"})


def test_lost_channels_are_named_with_their_number_and_no_more_than_a_dozen():
    headers = [header("I", *(f"x{number}" for number in range(20))), header("I", "x0"), header("I")]
    told = lost(headers, ["I"])
    assert told.startswith(
        "; 20 channels are left out, as not all recordings have them: x0 (in 2 of 3), x1 (in 1 of 3)"
    )
    assert told.endswith("x11 (in 1 of 3) and 8 more")


def test_where_no_channel_is_lost_nothing_is_told():
    assert lost([header("I")], ["I"]) == ""
