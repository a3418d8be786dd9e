from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from medfit.config.schema import check_node
from medfit.config.stored import moved, read_config
from medfit.train import train

EARLIER = (Path(__file__).parent / "earlier_run.yaml").read_text()  # as a run stored it before modules were in rooms


def targets(node):
    if OmegaConf.is_dict(node):
        for key, value in node.items_ex(resolve=False):
            yield from [value] if key == "_target_" else targets(value)


def test_targets_of_an_earlier_run_are_those_of_today():
    cfg = read_config(EARLIER)
    assert cfg.dataset._target_ == "medfit.data.datasets.heart_disease.HeartDisease"
    assert cfg.regime.scheduler._target_ == "medfit.tasks.regime.cosine_with_warmup"
    assert cfg.sweep.engine._target_ == "medfit.workers.pool.Local"
    assert len([get_object(target) for target in targets(cfg)]) > 15


def test_an_earlier_runs_nodes_are_what_signatures_of_today_take():
    cfg = read_config(EARLIER)
    for key in ("dataset", "split", "preprocessing", "model", "task", "regime", "tracking"):
        check_node(cfg[key], key)


def test_nothing_but_targets_changes():
    then, now = OmegaConf.create(EARLIER), read_config(EARLIER)
    assert now.choices == then.choices and now.sweep.space == then.sweep.space
    assert OmegaConf.to_yaml(now).count("\n") == EARLIER.count("\n")


def test_an_earlier_run_trains_again(output_dir):
    cfg = read_config(EARLIER)
    cfg.output_dir, cfg.tracking.plots, cfg.regime.epochs = str(output_dir), False, 1
    assert "val/auroc" in train(cfg)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("medfit.preprocessing.augmentation.Augmentation", "medfit.data.preprocessing.augmentation.Augmentation"),
        ("'medfit.splits.Split'", "'medfit.data.splits.Split'"),
        ("[{_target_:'medfit.tasks.codes.X'}]", "[{_target_:'medfit.tasks.output_codes.X'}]"),
        ("medfit.tracking.Tracking", "medfit.tracking.recording.Tracking"),
        ("medfit.study.ray_engine.Ray", "medfit.workers.ray_engine.Ray"),
    ],
)
def test_what_has_moved_is_found_where_it_is(then, now):
    assert moved(then) == now


@pytest.mark.parametrize(
    "name", ["medfit.data.datasets.table.Table", "medfit.tracking.recording.Tracking", "mine.medfit.datasets.Own"]
)
def test_what_has_not_moved_stays(name):
    assert moved(name) == name


def test_targets_in_lists_are_found():
    cfg = read_config("model:\n  blocks:\n  - _target_: medfit.regime.adam\n    lr: 1e-3\n  - none\nseed: ${other}")
    assert cfg.model.blocks[0] == {"_target_": "medfit.tasks.regime.adam", "lr": 0.001}
