import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfit.data.datasets.ts_file import TsFile, read_ts
from medfit.errors import UserError

HEADER = "@problemName Beats\n@timeStamps false\n@univariate true\n@equalLength true\n@seriesLength 3\n"
CLASSES = f"{HEADER}@classLabel true ill well\n@data\n"
SECRET = "4711.25"
finite = st.floats(-1e6, 1e6, width=32)


@pytest.fixture
def write(tmp_path):
    def written(text, name="Beats_TRAIN.ts"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return written


def test_a_line_is_a_series_and_its_class(write):
    data = TsFile(write(CLASSES + "1,2,3:ill\n4,5,6.5:well\n"))
    assert data.x.tolist() == [[[1, 2, 3]], [[4, 5, 6.5]]]
    assert (data.task, data.target_names, data.y[:, 0].tolist()) == ("binary", ["class: well"], [0, 1])


def test_the_name_is_the_problems(write):
    assert TsFile(write(CLASSES + "1,2,3:ill\n4,5,6:well\n")).name == "Beats"


def test_channels_stand_between_colons(write):
    data = TsFile(write("@classLabel true a b\n@data\n1,2:3,4:a\n5,6:7,8:b\n"), channels=["ecg", "ppg"])
    assert data.x.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert [feature["name"] for feature in data.features()] == ["ecg", "ppg"]


def test_channels_without_names_are_numbered(write):
    assert TsFile(write("@classLabel true a b\n@data\n1:3:a\n5:7:b\n")).channels == ["channel 1", "channel 2"]


def test_a_question_mark_is_missing(write):
    data = TsFile(write(CLASSES + "1,?,3:ill\n4,5,6:well\n"))
    assert np.array_equal(data.x[0], [[1, np.nan, 3]], equal_nan=True)


def test_series_of_many_lengths_are_kept_each_at_its_own(write):
    data = TsFile(write("@equalLength false\n@classLabel true a b\n@data\n1,2,3:a\n4:b\n5,6:a\n"))
    assert [series.tolist() for series in data.x] == [[[1, 2, 3]], [[4]], [[5, 6]]]


def test_classes_spelt_as_numbers_are_classes_in_the_order_of_numbers(write):
    rows = "".join(f"{number},2,3:{number}\n" for number in range(1, 13))
    data = TsFile(write(f"{HEADER}@classLabel true {' '.join(map(str, range(1, 13)))}\n@data\n{rows}"))
    assert (data.task, data.y.tolist()) == ("multiclass", list(range(12)))


def test_a_target_number_is_a_regression(write):
    rate = TsFile(write("@targetLabel true\n@data\n1,2,3:61\n4,5,6:72\n"), units={"target": "1/min"})
    assert (rate.task, rate.y[:, 0].tolist()) == ("regression", [61, 72])
    assert rate.schema()[-1] == {"name": "target", "kind": "regression", "role": "target", "unit": "1/min"}


def test_a_series_without_a_target_is_left_out(write):
    data = TsFile(write("@targetLabel true\n@data\n1,2,3:61.5\n7,7,7:?\n4,5,6:72\n"))
    assert data.x[:, 0, 0].tolist() == [1, 4]


def test_comments_and_empty_lines_say_nothing(write):
    data = TsFile(write("# of 2009\n%\n\n" + CLASSES + "1,2,3:ill\n\n# half\n4,5,6:well\n\n"))
    assert len(data) == 2


def test_keys_may_be_in_capitals(write):
    assert len(TsFile(write(CLASSES.upper().replace("ILL WELL", "ill well") + "1,2,3:ill\n4,5,6:well\n"))) == 2


def test_a_comment_in_latin_letters_is_passed_over(tmp_path):
    (tmp_path / "a.ts").write_bytes("# Müller\n".encode("latin-1") + (CLASSES + "1,2,3:ill\n4,5,6:well\n").encode())
    assert len(TsFile(str(tmp_path / "a.ts"))) == 2


def test_a_second_file_is_the_test_split(write):
    train = write(CLASSES + "1,2,3:ill\n4,5,6:well\n")
    data = TsFile(train, test_path=write(CLASSES + "7,8,9:ill\n", "Beats_TEST.ts"))
    assert data.given_split.tolist() == ["train", "train", "test"] and data.x[2].tolist() == [[7, 8, 9]]


def test_one_file_is_divided_at_random(write):
    assert TsFile(write(CLASSES + "1,2,3:ill\n4,5,6:well\n")).given_split is None


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.integers(1, 6).flatmap(
    lambda k: st.lists(st.lists(finite, min_size=k, max_size=k), min_size=n, max_size=n)), min_size=2, max_size=6)))  # fmt: skip
def test_what_is_written_is_read(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("ts") / "a.ts"
    rows = (":".join(",".join(map(repr, channel)) for channel in series) for series in made)
    path.write_text("@equalLength false\n@targetLabel true\n@data\n" + "".join(f"{row}:{n}\n" for n, row in enumerate(rows)))  # fmt: skip
    contents = read_ts(str(path))
    assert all(np.array_equal(x, np.float32(series)) for x, series in zip(contents.x, made, strict=True))
    assert contents.labels == [str(number) for number in range(len(made))]


WRONG = {
    "text": ("hello\n", "is no .ts file: it has no header that ends with @data"),
    "nothing": ("", "is no .ts file: it has no header that ends with @data"),
    "a header alone": (CLASSES, "holds no series after @data"),
    "a header without its end": (HEADER, "is no .ts file: it has no header that ends with @data"),
    "time stamps": ("@timeStamps true\n@classLabel true a\n@data\n(0,1):a\n", "has time stamps"),
    "no targets": ("@classLabel false\n@data\n1,2\n", "has neither @classLabel true nor @targetLabel true: no targets"),
    "ragged channels": ("@classLabel true a\n@data\n1,2:3:a\n", "line 3: channels of different lengths (is the file cut"),
    "a line cut off": (CLASSES + "1,2,3:ill\n1,2", "line 9: no ':' between values and label (is the file cut off?)"),
    "a word": (CLASSES + f"1,{SECRET}x,3:ill\n", "line 8: a value is no number"),
    "no value": (CLASSES + "1,,3:ill\n", "line 8: a value is no number"),
    "a channel of no length": ("@classLabel true a\n@data\n:a\n", "line 3: a value is no number"),
    "infinity": (CLASSES + f"1,inf,{SECRET}:ill\n", "line 8: a value is infinite or too large"),
    "a value beyond float32": (CLASSES + "1,1e39,2:ill\n", "line 8: a value is infinite or too large"),
    "a channel all missing": ("@classLabel true a\n@data\n1,2:?,?:a\n", "line 3: channel 2 is all missing"),
    "another length": (CLASSES + "1,2,3:ill\n1,2:well\n", "line 9: 2 values a channel, though @equalLength is true"),
    "another number of channels": ("@classLabel true a\n@data\n1:2:a\n3:a\n", "line 4: 1 channels, not 2"),
    "other channels than its header": ("@dimensions 3\n@classLabel true a\n@data\n1:2:a\n", "line 4: 2 channels, not 3"),
    "a class of no name": (CLASSES + "1,2,3:odd\n", "line 8: a class that @classLabel does not name"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_file_is_refused_in_a_line_that_names_it_with(write, what):
    text, told = WRONG[what]
    with pytest.raises(UserError) as caught:
        TsFile(write(text))
    message = str(caught.value)
    assert "Beats_TRAIN.ts'" in message and told in message
    assert "\n" not in message and len(message) < 300 and "4711" not in message


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(UserError, match=r"dataset.path: there is no file '.*a.ts'"):
        TsFile(str(tmp_path / "a.ts"))


def test_a_second_file_of_other_channels_is_refused(write):
    train = write("@classLabel true a b\n@data\n1:2:a\n1:3:b\n")
    test = write("@classLabel true a b\n@data\n1:a\n", "b.ts")
    with pytest.raises(UserError, match=r"^dataset.test_path: '.*b.ts' has other channels or targets than '.*Beats"):
        TsFile(train, test_path=test)


def test_too_few_channel_names_are_refused(write):
    with pytest.raises(UserError, match=r"^dataset.channels: '.*' has 2 channels, not 1$"):
        TsFile(write("@classLabel true a b\n@data\n1:2:a\n1:3:b\n"), channels=["ecg"])
