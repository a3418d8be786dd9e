import pytest
from omegaconf import OmegaConf

from medfit.config.stored import read_config
from medfit.tracking import paths
from medfit.tracking.recording import _facts, _named, params

KEY = b"0" * 32
WARD = "/home/dr_meier/ward 7/clinic.csv"
OTHER = "/srv/other/clinic.csv"


@pytest.fixture
def cfg():
    return OmegaConf.create(
        {
            "dataset": {
                "_target_": "medfit.data.datasets.table.Table",
                "path": WARD,
                "others": [OTHER],
                "target": "a/b",
            },
            "output_dir": "runs",
            "overrides": [f"dataset.path='{WARD}'"],
        }
    )


def test_a_server_gets_names_and_this_machine_gets_the_paths_back(cfg, tmp_path):
    names = paths.names(cfg, tmp_path, KEY)
    assert list(names) == [WARD, OTHER]
    assert names[WARD] != names[OTHER] and all(name.startswith("clinic.csv#") for name in names.values())
    text = _facts(cfg, names)["config.yaml"]
    told = {path: _named(value, names) for path, value in params(cfg)}
    assert "meier" not in text + str(told) and "/srv" not in text + str(told)
    assert told["dataset.target"] == "a/b"
    assert read_config(paths.restored(text, tmp_path)) == cfg


def test_what_a_name_stands_for_is_kept_for_all_runs(cfg, tmp_path):
    names = paths.names(cfg, tmp_path, KEY)
    other = OmegaConf.create({"dataset": {"path": "C:\\data\\scan.nii"}})
    more = paths.names(other, tmp_path, KEY)
    scan = "C:\\data\\scan.nii"
    assert paths.restored(f"{names[WARD]} {more[scan]}", tmp_path) == f"{WARD} {scan}"
    assert paths.names(cfg, tmp_path, KEY) == names


def test_without_paths_nothing_is_kept(tmp_path):
    assert paths.names(OmegaConf.create({"a": {"b": "val/auroc", "c": 3, "d": "x.csv"}}), tmp_path, KEY) == {}
    assert list(tmp_path.iterdir()) == []
