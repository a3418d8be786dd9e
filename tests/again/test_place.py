"""Where a rerun's runs are kept."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from medfit.again import place
from medfit.again.recorded import Recorded
from medfit.errors import UserError
from medfit.tracking.store import Store

RAY = {"_target_": "medfit.study.ray_engine.Ray", "num_actors": 4}


@pytest.fixture
def made(compose, output_dir):
    """Gives the place of a run that recorded some settings."""
    cfg = compose()

    def of(kind, threads=None, **settings):
        sweep = {"storage": "postgresql://server/studies", "engine": RAY, "threads": None}
        config = OmegaConf.create({"output_dir": "runs", "tracking": {"uri": "http://server"}, "sweep": sweep})
        config.overrides = ["output_dir=runs", "sweep/engine=ray", "sweep.engine.num_actors=4", "model.dropout=0.3"]
        text = OmegaConf.to_yaml(OmegaConf.merge(config, settings))
        run = SimpleNamespace(info=SimpleNamespace(run_id="f00"), data=SimpleNamespace(tags={"kind": kind}))
        return place.made(cfg, Store(cfg), Recorded(run, text, "", {}, "d", "s", threads), False)

    return of


def test_a_training_again_is_in_the_same_store(made, output_dir):
    with made("trial") as there:
        assert not there.own and there.folder == output_dir
        assert there.config.tracking.uri == f"sqlite:///{output_dir / 'mlflow.db'}"
        assert there.config.sweep.storage == "postgresql://server/studies"
    assert not (output_dir / "reruns").exists()


def test_a_sweep_again_has_a_folder_and_stores_of_its_own_on_this_machine(made, output_dir):
    (output_dir / "salt").write_text("0" * 64)
    with made("sweep", threads=3) as one, made("sweep") as two:
        assert one.own and one.folder == output_dir / "reruns" / "f00-1"
        assert two.folder == output_dir / "reruns" / "f00-2"
        assert one.config.tracking.uri is None and one.config.sweep.storage is None
        assert one.config.sweep.engine == {"_target_": "medfit.study.pool.Local"}
        assert one.config.overrides == [
            "model.dropout=0.3",
            f"output_dir={one.folder}",
            "tracking.uri=null",
            "sweep.storage=null",
            "sweep.threads=3",
            "sweep/engine=local",
        ]
        assert (one.config.sweep.threads, two.config.sweep.threads) == (3, None)
        assert (one.folder / "salt").read_text() == "0" * 64
        (two.folder / "mlflow.db").touch()
    assert two.folder.exists() and not one.folder.exists()


@pytest.mark.parametrize("source", ["0123456789abcdef", "models:/ecg@champion"])
def test_weights_of_a_run_are_not_in_a_store_of_its_own(made, output_dir, source):
    with (
        pytest.raises(
            UserError, match=f"rerun.run: run f00 starts from the weights of {source}.* medfit evaluate again"
        ),
        made("evaluation", model={"init_from": source}),
    ):
        pass
    assert not (output_dir / "reruns").exists()


def test_weights_of_a_file_are_taken(made):
    with made("evaluation", model={"init_from": "weights.CKPT"}) as there:
        assert there.config.model.init_from == "weights.CKPT"
