"""The same made-up series in each format that medfit reads, with their targets, or as those of new patients."""

import warnings

import numpy as np
import pandas as pd
import pytest

from fake_waveforms import channel, group, write_waveforms
from medfit.config.instantiate import load_dataset
from medfit.deployment import new_series
from medfit.errors import UserError

RATE, NAMES = 50, ("I", "II")


def signals(count=24, points=100, longest=None, seed=0):
    """Series (2 channels, points) in whole microvolts, whose class is how fast they swing; and their classes."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(points, longest + 1, count) if longest else [points] * count
    classes = np.arange(count) % 2
    made = []
    for length, fast in zip(lengths, classes, strict=True):
        swing = np.sin(np.arange(length) * (0.6 if fast else 0.2) + rng.uniform(0, 6))
        made.append(np.stack([300 * swing, -200 * swing + 40]) + 60 * rng.normal(size=(2, length)))
    return [np.round(series) for series in made], classes


def write_ts(file, x, y):
    told = "@classLabel false" if y is None else "@classLabel true 0 1"
    ends = [""] * len(x) if y is None else [f":{label}" for label in y]
    rows = [":".join(",".join(map(str, row)) for row in series) + end for series, end in zip(x, ends, strict=True)]
    file.write_text("\n".join(["@problemName made", told, "@data", *rows]))
    return file


def write_wide(file, x, y):
    """A series a row, those that end before others with empty cells."""
    longest = max(series.shape[1] for series in x)
    padded = [np.pad(series, ((0, 0), (0, longest - series.shape[1])), constant_values=np.nan) for series in x]
    table = pd.DataFrame(np.array(padded).reshape(len(x), -1))
    table.columns = [f"{name}{point}" for name in NAMES for point in range(longest)]
    table.insert(0, "who", [f"{row:03}" for row in range(len(x))])
    (table if y is None else table.assign(y=y)).to_csv(file, index=False)
    return file


def moments(x, y):
    """A table of moments for each series."""
    for row, series in enumerate(x):
        table = pd.DataFrame(dict(zip(NAMES, series, strict=True))).assign(t=np.arange(series.shape[1]) / RATE)
        yield f"{row:03}", (table if y is None else table.assign(y=y[row]))


def write_long(file, x, y):
    pd.concat([table.assign(who=name) for name, table in moments(x, y)]).to_csv(file, index=False)
    return file


def write_tables(folder, x, y):
    folder.mkdir(exist_ok=True)
    for name, table in moments(x, y):
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def arrays_of(x, y):
    return {"x": np.array(x), "who": np.array([f"{row:03}" for row in range(len(x))])} | ({} if y is None else {"y": y})


def write_npz(file, x, y):
    np.savez(file, **arrays_of(x, y))
    return file


def write_npy(file, x, y):
    np.save(file, np.array(x))
    return file


def write_mat(file, x, y):
    from scipy.io import savemat

    savemat(file, {name: value for name, value in arrays_of(x, y).items() if name != "who"})
    return file


def write_hdf5(file, x, y):
    import h5py

    with h5py.File(file, "w") as opened:
        for name, value in arrays_of(x, y).items():
            opened[name] = value.astype("S") if name == "who" else value
    return file


def write_wfdb(folder, x, y=None, rate=RATE, names=NAMES, unit="uV", beats=None, first=0):
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its use of pandas
        import wfdb

        for row, series in enumerate(x, first):
            wfdb.wrsamp(f"r{row:03}", fs=rate, units=[unit] * len(names), sig_name=list(names), fmt=["16"] * len(names),
                        p_signal=series.T.astype(float), write_dir=str(folder))  # fmt: skip
            if beats is not None:
                wfdb.wrann(f"r{row:03}", "atr", np.array(beats[0]), list(beats[1]), write_dir=str(folder))
    return folder


def write_edf(folder, x, y=None, rate=RATE, names=NAMES, unit="uV", notes=()):
    import pyedflib

    folder.mkdir(exist_ok=True)
    for row, series in enumerate(x):
        with pyedflib.EdfWriter(str(folder / f"r{row:03}.edf"), len(names)) as writer:
            writer.setSignalHeaders([
                {"label": name, "dimension": unit, "sample_frequency": rate, "physical_max": 2000, "digital_max": 20000,
                 "physical_min": -2000, "digital_min": -20000, "prefilter": "", "transducer": ""} for name in names
            ])  # fmt: skip
            writer.writeSamples(list(series.astype(float)))
            for onset, text, lasts in notes:
                writer.writeAnnotation(onset, lasts, text)
    return folder


def write_dicom(folder, x, y=None, rate=RATE):
    for row, series in enumerate(x):
        leads = [channel("I", step=1.0), channel("II", step=1.0)]
        write_waveforms(folder / f"r{row:03}.dcm", [group(series.T, leads, rate)], f"p{row}")
    return folder


def labels_of(folder, y):
    """A table of recordings, beside their folder."""
    file = folder.parent / f"{folder.name}-labels.csv"
    file.write_text("record,y\n" + "".join(f"{name},{label}\n" for name, label in zip(_names(folder), y, strict=True)))
    return file


def _names(folder):
    return sorted({file.name.split(".")[0] for file in folder.iterdir()})


WRITERS = {"ts_file": write_ts, "series_table": write_wide, "wfdb_records": write_wfdb, "edf_records": write_edf}


def describing(compose, tmp_path):
    """Returns what describes made-up training series, after overrides, as a finished model knows them."""

    def described(kind, *overrides, write=None, longest=None, **more):
        x, y = signals(longest=longest)
        source = (write or WRITERS[kind])(tmp_path / "old.csv", x, y, **more)
        given = [f"dataset={kind}", *([] if kind == "ts_file" else ["dataset.target=y"])]
        if kind.endswith("_records"):
            given += [f"dataset.root={source}", f"dataset.labels={labels_of(source, y)}"]
        else:
            given += [f"dataset.path={source}"]
        cfg = compose(*given, *overrides)
        return new_series.describe(load_dataset(cfg), np.arange(20), cfg)

    return described


def told(new):
    """What is odd, by channel and words, with its rows."""
    return {(one.column, one.what): np.flatnonzero(one.rows).tolist() for one in new.odd}


def refusal(source, about, identifiers=None):
    with pytest.raises(UserError) as caught:
        new_series.read(source, about, identifiers)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 320
    return message
