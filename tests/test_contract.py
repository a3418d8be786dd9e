"""Every model file with every data set file trains an epoch, or is refused in one line; a new file is tested by existing."""

import warnings

import numpy as np
import pyedflib
import pytest
from hydra.utils import get_object

from fake_images import write_decathlon, write_flat, write_medmnist, write_series
from fake_waveforms import channel, group, write_waveforms
from medfit.config import folders
from medfit.config.instantiate import load_dataset
from medfit.data.dataset import Dataset
from medfit.data.kind import Kind
from medfit.errors import UserError
from medfit.train import train

GROUPS = folders.groups()
SMALL = {
    "attention_unet": ["model.widths=[4,8]"],
    "dyn_unet": ["model.widths=[4,8,8]"],
    "gan": ["model.width=8"],
    "inception_time": ["model.depth=3", "model.width=4", "model.bottleneck=4"],
    "cnn1d": ["model.widths=[8,8,8]"],
    "resnet": ["model.width=4", "model.depth=10"],
    "resnet1d": ["model.widths=[8,8,8]"],
    "unet": ["model.widths=[4,8]"],
}  # so that it takes a second; the default widths are the experiments'


FAST = {
    "breast_cancer": "mlp",
    "decathlon": "unet",
    "diabetes": "linear",
    "dicom_series": "unet",
    "dicom_waveforms": "cnn1d",
    "ecg5000": "cnn1d",
    "edf_records": "cnn1d",
    "heart_disease": "cnn1d",
    "heart_rate": "mlp",
    "hippocampus": "dyn_unet",
    "image_classes": "resnet",
    "image_masks": "attention_unet",
    "image_table": "resnet",
    "medmnist": "gan",
    "mni_slices": "gan",
    "mni_tissue": "attention_unet",
    "pneumonia_mnist": "linear",
    "recurrence": "mlp",
    "series_table": "inception_time",
    "table": "linear",
    "series_arrays": "resnet1d",
    "ts_file": "resnet1d",
    "wfdb_records": "resnet1d",
}  # the one model of a data set that the fast tests train, or are refused; those of a new one are all fast
PAIRS = [
    pytest.param(dataset, model, marks=[pytest.mark.slow] if FAST.get(dataset, model) != model else [])
    for dataset in GROUPS["dataset"]  # the outer loop: a data set is read once for all models
    for model in GROUPS["model"]
]
OF_DATA = {  # what a data set of this test holds
    "records": ["breast_cancer", "diabetes", "heart_disease", "heart_rate", "recurrence", "table"],
    "series": [
        "dicom_waveforms",
        "ecg5000",
        "edf_records",
        "series_arrays",
        "series_table",
        "ts_file",
        "wfdb_records",
    ],
    "images": ["image_classes", "image_table", "medmnist", "pneumonia_mnist"],
    "masks": ["decathlon", "hippocampus", "image_masks", "mni_tissue"],
    "no targets": ["dicom_series", "mni_slices"],
}
RECORDS, SERIES, IMAGES = (f"takes {kind} of shape" for kind in ("records", "series", "images"))
SHAPE, NONE = "it puts out .* for each sample, but this task needs", "data set's are generation"
OF_RECORDS = {"series": RECORDS, "images": RECORDS, "masks": RECORDS}
OF_SERIES = {"records": SERIES, "images": SERIES, "masks": SERIES}
OF_MASKS = {"records": IMAGES, "series": IMAGES, "images": SHAPE}
REFUSED = {  # the pairs that are refused, each with the reason; all others train
    "linear": OF_RECORDS,
    "mlp": OF_RECORDS,
    "cnn1d": OF_SERIES,
    "inception_time": OF_SERIES,
    "resnet1d": OF_SERIES,
    "resnet": {"records": IMAGES, "series": IMAGES, "masks": SHAPE},
    "unet": OF_MASKS,
    "attention_unet": OF_MASKS,
    "dyn_unet": OF_MASKS,
    "gan": {"records": "takes flat images", "series": "takes flat images", "masks": "data set's are segmentation"},
}


def reason(dataset, model):
    """Why a model refuses a data set; None where it trains."""
    kind = next(kind for kind, names in OF_DATA.items() if dataset in names)
    return NONE if kind == "no targets" and model != "gan" else REFUSED[model].get(kind)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "patients.csv"
    rows = [f"p{i // 2},{i % 7},{'abc'[i % 3]},{i % 2}" for i in range(120)]
    path.write_text("patient,age,stage,outcome\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    path = tmp_path_factory.mktemp("series") / "beats.csv"
    rows = [",".join(str((i * i * t) % 11) for t in range(1, 25)) + f",{i % 2}" for i in range(60)]
    path.write_text(",".join(f"t{t}" for t in range(24)) + ",outcome\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "beats.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(60, 2, 24)), y=np.arange(60) % 2)
    return path


@pytest.fixture(scope="module")
def ts_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("ts") / "beats.ts"
    rows = [",".join(str((i * t) % 11) for t in range(1, 15 + i % 5)) + f":{'ab'[i % 2]}" for i in range(60)]
    path.write_text("@equalLength false\n@classLabel true a b\n@data\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def survival(tmp_path_factory):
    """Made-up patients in the layout of R's package survival."""
    folder = tmp_path_factory.mktemp("survival")
    rows = [f"{i},1990,{30 + i},{i % 2},{['<=20', '20-50', '>50'][i % 3]},{2 + i % 2},{i % 9},{i},{2 * i},0,1,"
            f"{900 + 20 * i},{(i + 1) % 2},{2000 + i},0" for i in range(60)]  # fmt: skip
    header = "pid,year,age,meno,size,grade,nodes,pgr,er,hormon,chemo,rtime,recur,dtime,death"
    (folder / "rotterdam.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Twelve recordings, each as a WFDB record, as an EDF file and in DICOM, and a table of heart rates."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(12):
        signal = np.sin(np.arange(200) * (1 + number) / 20)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its use of pandas
            import wfdb

            wfdb.wrsamp(f"r{number}", fs=50, units=["mV"], sig_name=["I"], p_signal=signal[:, None], fmt=["16"],
                        write_dir=str(folder))  # fmt: skip
        with pyedflib.EdfWriter(str(folder / f"r{number}.edf"), 1) as writer:
            writer.setSignalHeader(0, {"label": "I", "dimension": "mV", "sample_frequency": 50, "physical_max": 1.5,
                                       "physical_min": -1.5, "digital_max": 32767, "digital_min": -32768,
                                       "prefilter": "", "transducer": ""})  # fmt: skip
            writer.writeSamples([signal])
        values = np.rint(1000 * signal)[:, None]
        write_waveforms(folder / f"r{number}.dcm", [group(values, [channel("I", 1.0)], rate=50)], f"p{number}")
    (folder / "rates.csv").write_text("record,rate\n" + "".join(f"r{n},{60.5 + n}\n" for n in range(12)))
    return [f"dataset.root={folder}", f"dataset.labels={folder}/rates.csv", "dataset.target=rate"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty photographs with their masks, in two class folders, and in a table."""
    folder = tmp_path_factory.mktemp("pictures")
    rng, rows = np.random.default_rng(0), ["image,sick,patient"]
    for number in range(20):
        mask = np.zeros((32, 32), dtype=np.uint8)
        mask[8:24, 8 : 16 + number % 8] = 1
        pixels = (mask * 120 + rng.integers(0, 80, mask.shape)).astype(np.uint8)
        for path in (f"images/{number}.png", f"classes/{'ab'[number % 2]}/{number}.png"):
            write_flat(folder / path, pixels)
        write_flat(folder / "masks" / f"{number}_mask.png", mask * 255)
        rows.append(f"images/{number}.png,{number % 2},p{number // 2}")
    (folder / "pictures.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """A task of the Decathlon, a folder of DICOM series, and files of MedMNIST."""
    folder = tmp_path_factory.mktemp("volumes")
    write_decathlon(folder / "Task99_Fake", num_cases=10)
    for number in range(10):
        slices = np.random.default_rng(number).integers(-1000, 1000, (16, 16, 16)).astype(np.int16)
        write_series(folder / "dicom" / str(number), slices, patient=f"p{number}", series=f"1.{number}")
    write_medmnist(folder / "pneumoniamnist.npz")
    return folder


@pytest.fixture
def values(table, series, arrays, ts_file, recordings, pictures, volumes, survival):
    mnist = [f"dataset.root={volumes}"]
    return {
        "decathlon": [f"dataset.root={volumes}/Task99_Fake"],
        "dicom_series": [f"dataset.root={volumes}/dicom", "dataset.slices=true", "preprocessing.size=32"],
        "hippocampus": [f"dataset.root={volumes}/Task99_Fake"],
        "image_classes": [f"dataset.root={pictures}/classes"],
        "image_masks": [f"dataset.images={pictures}/images", f"dataset.masks={pictures}/masks",
                        "dataset.classes=[background,lesion]", "dataset.layout=binary"],
        "image_table": [f"dataset.path={pictures}/pictures.csv", "dataset.target=sick", "dataset.patient=patient"],
        "medmnist": mnist,
        "mni_slices": ["dataset.resolution_mm=8", "dataset.slab_slices=2", "preprocessing.size=32"],
        "mni_tissue": ["dataset.resolution_mm=8", "dataset.slab_slices=2"],
        "pneumonia_mnist": mnist,
        "recurrence": [f"dataset.path={survival}"],
        "dicom_waveforms": recordings,
        "edf_records": [*recordings, "dataset.window_s=1"],
        "series_table": [f"dataset.path={series}", "dataset.target=outcome"],
        "table": [f"dataset.path={table}", "dataset.target=outcome", "dataset.patient=patient"],
        "series_arrays": [f"dataset.path={arrays}"],
        "ts_file": [f"dataset.path={ts_file}"],
        "wfdb_records": recordings,
    }  # fmt: skip


@pytest.mark.parametrize(("dataset", "model"), PAIRS)
def test_every_model_trains_on_every_data_set_or_is_refused(compose, values, model, dataset):
    overrides = [
        f"dataset={dataset}",
        f"model={model}",
        "regime.epochs=1",
        *SMALL.get(model, []),
        *values.get(dataset, []),
    ]
    cfg = compose(*overrides)
    if (why := reason(dataset, model)) is None:
        assert cfg.task.monitor in train(cfg)
        return
    with pytest.raises(UserError, match=why) as refused:
        train(cfg)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", GROUPS["dataset"])
def test_every_data_set_keeps_the_contract(compose, values, name):
    """As medfit.data.dataset.Dataset has it."""
    data: Dataset = load_dataset(compose(f"dataset={name}", *values.get(name, [])))
    size = len(data)
    assert isinstance(data.kind, Kind) and data.kind.preprocessing in GROUPS["preprocessing"]
    assert data.name and isinstance(data.source, str)
    assert len(data.y) == len(data.groups) == len(data.facts) == size
    outputs = len(data.target_names)
    if data.task == "multiclass":
        assert data.y.dtype == np.int64 and data.y.shape == (size,) and set(data.y) <= set(range(outputs))
    else:
        width = 0 if data.task in ("segmentation", "generation") else outputs
        assert data.y.dtype == np.float32 and data.y.shape == (size, width)
    assert (data.strata is None) == (data.task not in ("binary", "multiclass"))
    assert data.strata is None or data.strata.shape == (size,)
    assert data.given_split is None or set(data.given_split) <= {"train", "val", "test"}
    schema = data.schema()
    assert {frozenset(column) for column in schema} == {frozenset({"name", "kind", "role", "unit"})}
    assert [column["name"] for column in schema if column["role"] == "target"] == data.target_names
    assert all(isinstance(word, str) for word in [*data.units, *data.units.values()])
    assert all(isinstance(number, int) for number in data.excluded.values())
    assert np.array_equal(data[size - 1][1], data.y[size - 1])
    assert data.fingerprint() == data.fingerprint() and len(data.fingerprint()) == 64
    for table in data.facts:
        assert len(data.column(table, "split.site")) == size
    with pytest.raises(UserError, match="split.site: the data set has no column 'nowhere'"):
        data.column("nowhere", "split.site")
    made = data.kind.prints(data)
    assert made is not None and made.telling.shape == made.digests.shape == (size,)
    assert (data.kind.missing(data) is None) == (data.kind.preprocessing != "table")
    list(data.kind.column_leaks(data, {"train": np.arange(size)}))
    for path in (data.kind.baselines, data.kind.explainer):
        assert path is None or get_object(path)


@pytest.mark.parametrize("regime", [r for r in GROUPS["regime"] if r != "adversarial"])
def test_every_regime_trains(compose, regime):
    assert train(compose(f"regime={regime}", "regime.epochs=1"))["val/auroc"] >= 0


def test_a_regime_of_two_players_is_refused_by_a_task_of_one(compose):
    with pytest.raises(UserError, match=r"^regime"):
        train(compose("regime=adversarial", "regime.epochs=1"))


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("scheduler", GROUPS["regime/scheduler"])
@pytest.mark.parametrize("optimizer", GROUPS["regime/optimizer"])
def test_every_optimizer_and_scheduler_trains(compose, optimizer, scheduler):
    overrides = [f"regime/optimizer={optimizer}", f"regime/scheduler={scheduler}", "regime.epochs=2"]
    assert train(compose("regime=smoke", *overrides))["val/auroc"] >= 0


@pytest.mark.parametrize("task", [t for t in GROUPS["task"] if t != "inferred"])
def test_a_task_learns_its_own_kind_of_target_and_refuses_others(compose, task):
    cfg = compose("dataset=breast_cancer", f"task={task}", "regime=smoke")
    if task == "binary":
        assert train(cfg)["val/auroc"] > 0.5
    elif task == "masked":  # which looks at no target
        assert train(cfg)["val/loss"] > 0
    else:
        reason = f"task={task} (learns .* targets, but the data set's are binary|trains; take model=gan)"
        with pytest.raises(UserError, match=reason):
            train(cfg)
