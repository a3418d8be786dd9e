import shutil

import pytest
from omegaconf import OmegaConf

from fake_images import GREY, write_flat
from medfit.config import folders
from medfit.config.compose import _spelled_out, compose
from medfit.config.overrides import as_override, leaves
from medfit.errors import UserError


def test_the_default_experiment_is_meant_where_none_is_named():
    assert compose([]).experiment == "breast_cancer_diagnosis"


def test_a_data_set_of_ones_own_is_no_part_of_the_default_experiment():
    cfg = compose(["dataset=diabetes"])
    assert cfg.experiment is None
    assert cfg.choices.task == "regression"


def test_the_data_set_picks_its_task_and_the_command_line_wins():
    assert compose(["dataset=heart_rate"]).choices.task == "regression"
    assert compose(["dataset=heart_rate", "task=binary"]).choices.task == "binary"


@pytest.mark.slow
def test_a_table_gets_the_task_that_its_target_calls_for(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(30)))
    cfg = compose(["dataset=table", f"dataset.path={path}", "dataset.target=b", "task.class_weight=balanced"])
    assert cfg.choices.task == "multiclass"
    assert cfg.task.class_weight == "balanced"


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize("name", [name for name in folders.experiments() if "/" not in name])
def test_every_experiment_composes(name):
    assert compose([f"experiment={name}"]).experiment == name


@pytest.mark.mostly_slow(fast=2)
@pytest.mark.parametrize("name", [name for name in folders.experiments() if "/" in name])
def test_every_best_composes_with_its_own_values(name):
    best = OmegaConf.load(folders.EXPERIMENTS / f"{name}.yaml")
    cfg = compose([f"experiment={name}"])
    assert cfg.best
    values = {path: value for path, value in leaves(best) if not path.startswith("defaults")}
    assert values
    assert {path: OmegaConf.select(cfg, path) for path in values} == values


@pytest.mark.mostly_slow(fast=8)
@pytest.mark.parametrize(
    ("group", "choice"),
    [
        (g, c)
        for g, cs in folders.groups().items()
        for c in cs
        if g not in ("sweep/space", "dataset") and c != "inferred"
    ],
)
def test_every_choice_of_every_group_composes(group, choice):
    where = ["preprocessing=image"] if group == "preprocessing/augmentation" else []
    assert compose([*where, f"{group}={choice}"]).choices[group] == choice


def test_a_choice_that_belongs_to_other_choices_is_told():
    with pytest.raises(UserError, match="preprocessing/augmentation: there is nothing to choose here"):
        compose(["preprocessing/augmentation=strong"])


@pytest.mark.slow
def test_a_best_yamls_choice_wins_over_the_familys(experiments):
    folder = experiments / "own"
    folder.mkdir()
    (folder / "config.yaml").write_text("# @package _global_\ndefaults:\n  - override /dataset: pneumonia_mnist\n")
    head = "# @package _global_\ndefaults:\n  - own/config\n"
    (folder / "best.yaml").write_text(f"{head}  - override /model: resnet\n  - override /sweep: smoke\n")
    assert compose(["experiment=own"]).choices.sweep == "images"
    assert compose(["experiment=own/best"]).choices.sweep == "smoke"


def test_leaves_leave_out_interpolations():
    paths = dict(leaves(compose([]).sweep, "sweep"))
    assert "sweep.num_trials" in paths
    assert "sweep.objective" not in paths


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 3, 1e-7, "a", "with space", "it's", "a=b,c", "", [1, 2], ["x y", None], {"k": 1.5}),
        *("1", "1e-3", "true", "null", "nan", "32-true", "val/auroc", "é", r"C:\data", "it\\'s", "\\", ["1", "off"]),
    ],
)
def test_a_value_given_back_as_an_override_is_itself(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_override(f"key={as_override(value)}")
    assert OmegaConf.create({"v": parsed.value()}).v == value


@pytest.mark.parametrize("word", ["a", "relu", "32-true", "val/auroc", "a_b"])
def test_a_word_is_spelled_without_quotes(word):
    assert as_override(word) == word


@pytest.mark.parametrize(
    ("line", "spelled"),
    [
        ("sweep.space.model=[mlp,linear]", ["++sweep.space.model.choices=[mlp,linear]"]),
        ("+sweep.space.regime.optimizer=[sgd]", ["++sweep.space.regime.optimizer.choices=[sgd]"]),
        ("sweep.space.model={choices: [mlp]}", ["++sweep.space.model={choices: [mlp]}"]),
        ("sweep.space.seed=[1,2]", ["++sweep.space.seed=null", "++sweep.space.seed.choices=[1,2]"]),
        ("sweep.space.seed.choices=[1,2]", ["++sweep.space.seed.choices=[1,2]"]),
        ("sweep.space.seed.when.model=[mlp]", ["++sweep.space.seed.when.model=[mlp]"]),
        ("sweep.space.seed.low=1", ["++sweep.space.seed.low=1"]),
        ("~sweep.space.seed", ["++sweep.space.seed=null"]),
        ("~regime.l1", ["~regime.l1"]),
        ("sweep.num_trials=3", ["sweep.num_trials=3"]),
        ("model.widths=[3]", ["model.widths=[3]"]),
    ],
)
def test_a_line_of_the_space_is_spelled_out_once(line, spelled):
    assert _spelled_out(line) == spelled
    assert [again for one in spelled for again in _spelled_out(one)] == spelled


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["sed=3"], "unknown key 'sed'; did you mean 'seed'?"),
        (["regime.epcohs=3"], "unknown key 'regime.epcohs'; did you mean 'regime.epochs'?"),
        (["lr=3"], "unknown key 'lr'; did you mean 'regime.optimizer.lr'?"),
        (["modl=mlp"], "unknown key 'modl'; did you mean 'model'?"),
        (["+foo=1"], "unknown key 'foo'"),
        (["model=mpl"], "model=mpl: there is no such choice; did you mean 'mlp'?"),
        (["regime/optimizer=adamm"], "did you mean 'adam"),
        (["sweep/pruner=zzz"], "there is no such choice (known: hyperband, median, none, patient, "),
        (
            ["dataset=image_masks", "dataset.images=i", "dataset.masks=m", "dataset.mask=x"],
            "unknown key 'dataset.mask'; did you mean 'dataset.masks'?",
        ),
        (
            ["dataset=image_masks", "dataset.images=i", "dataset.masks=m", "dataset.clases=[a,b]"],
            "unknown key 'dataset.clases'; did you mean 'dataset.classes'?",
        ),
        (
            ["dataset=table", "dataset.path=p", "dataset.target=t", "dataset.targte=t"],
            "unknown key 'dataset.targte'; did you mean 'dataset.target'?",
        ),
        (
            ["regime.optimizer={lrr: 3}"],
            "unknown key 'regime.optimizer.lrr'; did you mean 'regime.optimizer.lr'?; +regime.optimizer=... adds keys",
        ),
        (["model.widths={a: 1}"], "Error merging override model.widths={a: 1}: a list and keys can't be merged"),
        (["experiment=breast_cancer"], "did you mean 'breast_cancer_diagnosis'?"),
        (["experiment=heart_rate/best"], "no sweep has written"),
        (["dataset=table"], "dataset.path is needed"),
    ],
)
def test_a_wrong_override_is_told_with_the_nearest_right_one(overrides, words):
    with pytest.raises(UserError) as caught:
        compose(overrides)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("regime: {epcohs: 3}", "unknown key 'regime.epcohs'; did you mean 'regime.epochs'?"),
        ("regime: {optimizer: {lrr: 3}}", "unknown key 'regime.optimizer.lrr'; did you mean 'regime.optimizer.lr'?"),
        ("modl: {widths: [3]}", "unknown key 'modl'; did you mean 'model'?"),
        ("split: {vall: 0.1}", "unknown key 'split.vall'; did you mean 'split.val'?"),
        ("tracking: {url: x}", "unknown key 'tracking.url'; did you mean 'tracking.uri'?"),
        ("model: {dropout: 2}", "model.dropout: input should be less than 1, not 2"),
    ],
)
def test_a_typo_in_an_experiments_file_is_told(experiments, text, words):
    (experiments / "heart_rate" / "config.yaml").write_text(f"# @package _global_\n{text}\n")
    with pytest.raises(UserError) as caught:
        compose(["experiment=heart_rate"])
    assert words in str(caught.value)


def test_a_typo_in_a_yaml_of_conf_is_told(tmp_path, monkeypatch):
    import shutil

    shutil.copytree(folders.CONF, tmp_path / "conf")
    monkeypatch.setattr(folders, "CONF", tmp_path / "conf")
    path = tmp_path / "conf" / "model" / "mlp.yaml"
    path.write_text(path.read_text().replace("dropout:", "droput:"))
    with pytest.raises(UserError, match=r"unknown key 'model.droput'; did you mean 'model.dropout'\?"):
        compose(["~sweep.space.model"])


def test_an_output_folder_that_cannot_be_written_is_told(compose, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="output_dir: cannot write to"):
        folders.output_dir(compose(f"output_dir={tmp_path / 'file' / 'runs'}"))


def test_a_folder_with_spaces_and_signs_is_no_obstacle(tmp_path, monkeypatch):
    import shutil

    from medfit.train import train

    folder = tmp_path / "Dr. O'Hara's (new) study, 2 = final"
    shutil.copytree(folders.EXPERIMENTS, folder / "experiments")
    monkeypatch.setattr(folders, "EXPERIMENTS", folder / "experiments")
    overrides = ["experiment=heart_disease_diagnosis", "regime=smoke", "tracking.plots=false"]
    cfg = compose([*overrides, f"output_dir={as_override(str(folder / 'runs'))}"])
    assert train(cfg)["val/auroc"] > 0
    assert (folder / "runs" / "mlflow.db").exists()


@pytest.fixture
def family(tmp_path, monkeypatch):
    """A copy of the configs with a model whose family chooses its own task and regime."""
    shutil.copytree(folders.CONF, tmp_path / "conf")
    monkeypatch.setattr(folders, "CONF", tmp_path / "conf")
    own = "defaults:\n  - override /task@_global_.task: multilabel\n  - override /regime@_global_.regime: own\n"
    (tmp_path / "conf" / "model" / "own.yaml").write_text(own + (folders.CONF / "model" / "linear.yaml").read_text())
    regime = "defaults:\n  - default\n  - override optimizer: sgd\n  - _self_\n"
    (tmp_path / "conf" / "regime" / "own.yaml").write_text(regime)


def chosen(*overrides):
    cfg = compose(["dataset=breast_cancer", "model=own", *overrides])
    return cfg.choices.task, cfg.choices.regime


def test_a_family_chooses_its_own_task_and_regime_whatever_the_data_set_chose(family):
    assert chosen() == ("multilabel", "own")


def test_the_command_line_wins_over_the_family(family):
    assert chosen("task=binary", "regime=smoke") == ("binary", "smoke")


def test_an_experiment_wins_over_the_family(family, experiments):
    text = "# @package _global_\ndefaults:\n  - override /dataset: breast_cancer\n  - override /model: own\n"
    (experiments / "mine").mkdir()
    (experiments / "mine" / "config.yaml").write_text(text + "  - override /regime: article\n")
    cfg = compose(["experiment=mine"])
    assert (cfg.choices.task, cfg.choices.regime) == ("multilabel", "article")


def test_keys_that_only_the_familys_regime_has_can_be_overridden(family):
    cfg = compose(["dataset=breast_cancer", "model=own", "regime.optimizer.momentum=0.5"])
    assert cfg.regime.optimizer.momentum == 0.5


def test_what_a_family_chose_is_no_override_of_the_users(family):
    cfg = compose(["dataset=breast_cancer", "model=own"])
    assert list(cfg.overrides) == ["dataset=breast_cancer", "model=own"]


def test_a_wrong_key_of_a_family_is_told(family):
    with pytest.raises(
        UserError, match="unknown key 'regime.optimizer.momentun'; did you mean 'regime.optimizer.momentum'"
    ):
        compose(["dataset=breast_cancer", "model=own", "regime.optimizer.momentun=0.5"])


def test_images_without_classes_are_told_to_be_for_generation_alone(tmp_path):
    write_flat(tmp_path / "one.png", GREY)
    with pytest.raises(UserError, match="dataset=image_classes: there are no targets to learn; model=gan needs none"):
        compose(["dataset=image_classes", f"dataset.root={tmp_path}"])
    cfg = compose(["dataset=image_classes", f"dataset.root={tmp_path}", "model=gan"])
    assert cfg.choices.task == "adversarial"


def test_a_wrong_choice_among_many_is_told_in_a_short_line():
    with pytest.raises(UserError) as caught:
        compose(["dataset=image_clases"])
    assert str(caught.value) == "dataset=image_clases: there is no such choice; did you mean 'image_classes'?"


def test_results_are_for_their_owner_alone(tmp_path):
    cfg = OmegaConf.create({"output_dir": str(tmp_path / "new")})
    assert folders.output_dir(cfg).stat().st_mode & 0o777 == 0o700
