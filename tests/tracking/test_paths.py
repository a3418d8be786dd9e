import pytest
from omegaconf import OmegaConf

from medfit.config.stored import read_config
from medfit.tracking import paths
from medfit.tracking.recording import _facts, params

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
    told = {path: paths.hidden(value, names) for path, value in params(cfg)}
    assert "meier" not in text + str(told) and "/srv" not in text + str(told)
    assert told["dataset.target"] == "a/b"
    assert paths.restored(read_config(text), tmp_path) == cfg


def test_what_a_name_stands_for_is_kept_for_all_runs(cfg, tmp_path):
    names = paths.names(cfg, tmp_path, KEY)
    other = OmegaConf.create({"dataset": {"path": "C:\\data\\scan.nii"}})
    more = paths.names(other, tmp_path, KEY)
    scan = "C:\\data\\scan.nii"
    told = OmegaConf.create({"a": [names[WARD]], "b": more[scan]})
    assert paths.restored(told, tmp_path) == {"a": [WARD], "b": scan}
    assert paths.known(tmp_path) == names | more
    assert paths.names(cfg, tmp_path, KEY) == names


def test_without_paths_nothing_is_kept(tmp_path):
    assert paths.names(OmegaConf.create({"a": {"b": "val/auroc", "c": 3, "d": "x.csv"}}), tmp_path, KEY) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_long_path_that_yaml_breaks_into_lines_is_hidden_and_comes_back(tmp_path):
    long = f"/home/dr meier/{'ward of the old house ' * 6}/it's clinic data.csv"
    cfg = OmegaConf.create({"dataset": {"path": long}, "overrides": []})
    text = _facts(cfg, paths.names(cfg, tmp_path, KEY))["config.yaml"]
    assert "meier" not in text and "ward" not in text
    assert paths.restored(read_config(text), tmp_path) == cfg


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("File /srv/é/a.csv, row 3", "File a, row 3"),
        ('{"path": "/srv/\\u00e9/a.csv"}', '{"path": "a"}'),
        ("file:///srv/%C3%A9/a.csv", "file://a"),
        ("/srv/é/a.csv/x.png", "a/x.png"),
        ("/mnt/srv/é/a.csv /srv/é/a.csv2", "/mnt/srv/é/a.csv /srv/é/a.csv2"),
        ("mg/r", "mg/r"),
    ],
)
def test_a_path_is_hidden_however_it_is_spelled_and_no_part_of_another_is(text, told):
    assert paths.hidden(text, {"/srv/é/a.csv": "a", "/r": "b"}) == told


def test_files_of_text_are_told_names_and_others_are_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "code.diff").write_text(f"+path: {WARD}\n")
    (tmp_path / "best.ckpt").write_bytes(b"\xff" + WARD.encode())
    paths.hide_in_files(tmp_path, {WARD: "clinic.csv#1"})
    assert (tmp_path / "a" / "code.diff").read_text() == "+path: clinic.csv#1\n"
    assert (tmp_path / "best.ckpt").read_bytes() == b"\xff" + WARD.encode()
