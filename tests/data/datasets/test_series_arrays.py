import h5py
import numpy as np
import pytest

from medfit.data.datasets.series_arrays import SeriesArrays
from medfit.errors import UserError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 2, 20)).astype(np.float32)
Y = np.arange(6) % 2
WHO = np.repeat(["a", "b", "c"], 2)


@pytest.fixture
def made(tmp_path):
    def of(arrays, name="beats.npz", **options):
        np.savez(tmp_path / name, **arrays)
        return SeriesArrays(str(tmp_path / name), **options)

    return of


def test_an_array_is_series_with_targets_and_patients(made):
    data = made({"x": X, "y": Y, "who": WHO}, patient="who", sampling_rate_hz=100, channels=["ecg", "ppg"])
    assert np.array_equal(data.x, X) and data.y[:, 0].tolist() == Y.tolist()
    assert data.groups.tolist() == WHO.tolist() and data.channels == ["ecg", "ppg"] and data.sampling_rate_hz == 100


def test_channels_may_be_last(made):
    data = made({"x": X.transpose(0, 2, 1), "y": Y}, layout="channels_last")
    assert np.array_equal(data.x, X) and data.channels == ["channel 1", "channel 2"]


def test_two_axes_are_one_channel(made):
    data = made({"signals": X[:, 0], "y": Y[:, None]}, signals="signals")
    assert np.array_equal(data.x, X[:, :1]) and data.channels == ["signal"]


def test_an_array_of_several_columns_is_several_targets(made):
    data = made({"x": X, "y": RNG.normal(size=(6, 2))})
    assert data.task == "regression" and data.target_names == ["y 1", "y 2"]


def test_what_is_missing_at_the_end_is_the_end_of_a_series(made):
    x = X.copy()
    x[1, :, 15:], x[2, 0, 15:] = np.nan, np.nan
    assert [series.shape[1] for series in made({"x": x, "y": Y}).x] == [20, 15, 20, 20, 20, 20]


def test_a_second_file_is_the_test_split(made, tmp_path):
    np.savez(tmp_path / "beats_TEST.npz", x=X[:3], y=Y[:3])
    data = made({"x": X, "y": Y}, "beats_TRAIN.npz", test_path=str(tmp_path / "beats_TEST.npz"))
    assert data.given_split.tolist() == ["train"] * 6 + ["test"] * 3 and data.name == "beats"
    assert np.array_equal(data.x, np.concatenate([X, X[:3]]))


def test_a_table_may_hold_the_targets(tmp_path):
    np.save(tmp_path / "x.npy", X)
    rows = "".join(f"{who},{'' if n == 1 else n % 2},s{n}\n" for n, who in enumerate(WHO))
    (tmp_path / "t.csv").write_text("who,ill,site\n" + rows)
    data = SeriesArrays(str(tmp_path / "x.npy"), "ill", labels=str(tmp_path / "t.csv"), patient="who")
    assert np.array_equal(data.x, X[[0, 2, 3, 4, 5]]) and data.facts.site.tolist() == ["s0", "s2", "s3", "s4", "s5"]


WRONG = {
    "channels that may be last": ({"x": X.transpose(0, 2, 1)}, {}, "series of 20 channels x 2 points; say which"),
    "few points": ({"x": X[:, 0, :7]}, {}, "dataset.layout: 'x' would be series of 1 channels x 7 points; say which"),
    "words": ({"x": X.astype(str)}, {}, "dataset.signals: 'x' in 'beats.npz' is <U"),
    "one axis": ({"x": X[0, 0]}, {}, "dataset.signals: 'x' in 'beats.npz' is float32 (20,), not numbers as"),
    "fewer targets": ({"y": Y[:5]}, {}, "dataset.target: 'y' in 'beats.npz' is (5,), not a value for each of 6 series"),
    "no targets": ({}, {"target": "z"}, "dataset.target: 'beats.npz' has no array 'z'; it holds x (6, 2, 20), y (6,)"),
    "patients side by side": ({"who": np.stack([WHO, WHO], 1)}, {"patient": "who"}, "dataset.patient: 'who' in"),
    "two splits": ({}, {"split": "y", "test_path": "a.npz"}, "dataset.test_path: dataset.labels or dataset.split says"),
    "other channels": ({}, {"test_path": "{}/other.npz"}, "dataset.test_path: series of (1, 20), but of (2, 20)"),
    "other rows": ({}, {"labels": "{}/t.csv"}, "t.csv' has 1 rows, but there are 6 series"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_is_refused_with(made, tmp_path, what):
    arrays, options, told = WRONG[what]
    np.savez(tmp_path / "other.npz", x=X[:, :1], y=Y)
    (tmp_path / "t.csv").write_text("y,z\n1,2\n")
    with pytest.raises(UserError) as caught:
        made({"x": X, "y": Y, **arrays}, **{key: value.format(tmp_path) for key, value in options.items()})
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_matlabs_arrays_of_version_7_3_are_the_same_series(made, tmp_path):
    with h5py.File(tmp_path / "beats.mat", "w", userblock_size=512) as file:
        for name, values in {"x": X.astype(float), "y": Y[:, None].astype(float)}.items():
            file.create_dataset(name, data=values.T).attrs["MATLAB_class"] = np.bytes_("double")
    with (tmp_path / "beats.mat").open("r+b") as opened:
        opened.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    data, same = SeriesArrays(str(tmp_path / "beats.mat")), made({"x": X, "y": Y})
    assert np.array_equal(data.x, X) and np.array_equal(data.y, same.y) and data.fingerprint() == same.fingerprint()
