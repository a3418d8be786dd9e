import pytest
from omegaconf import OmegaConf

from medfit.config import allowed, schema
from medfit.config.compose import compose
from medfit.config.folders import CONF
from medfit.config.instantiate import build
from medfit.config.stored import read_config
from medfit.errors import UserError

OFF_THE_LIST = [
    "pandas.read_pickle",
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.Popen",
    "torch.load",
    "torch.hub.load",
    "torch.utils.cpp_extension.load_inline",
    "torch.nn.modules.module.torch.load",
    "torch.nn.modules.os.system",
    "torch.optim.optimizer.torch.hub.load",
    "torch.nn.Linear.__class__",
    "torch.nn.functional.relu",
    "monai.bundle.download",
    "monai.bundle.ConfigParser",
    "monai.losses.PerceptualLoss",
    "monai.losses.perceptual.PerceptualLoss",
    "monai.losses.perceptual.MedicalNetPerceptualSimilarity",
    "monai.networks.nets.resnet.torch.load",
    "joblib.load",
    "sklearn.utils.joblib.load",
    "sklearn.datasets.fetch_openml",
    "optuna.load_study",
    "optuna.storages.RDBStorage",
    "optuna.samplers._base.np.load",
    "lightning.pytorch.cli.LightningCLI",
    "lightning.pytorch.callbacks.callback.torch.load",
    "hydra.utils.get_object",
    "hydra.utils.instantiate",
    "medfit.config.instantiate.build",
    "medfit.config.file_cache.write",
    "medfit.tasks.regime.math.os.system",
    "medfit.data.splits.np.load",
    "numpy.load",
    "__main__.x",
    "",
]


@pytest.mark.parametrize("target", OFF_THE_LIST)
def test_what_reads_fetches_or_runs_is_refused(target):
    node = {"_target_": target, "_partial_": True}
    for refuses in (lambda: schema.check_node(OmegaConf.create(node), "model"), lambda: build(OmegaConf.create(node))):
        with pytest.raises(UserError) as caught:
            refuses()
        assert "_target_: a config may not call" in str(caught.value) or "cannot find" in str(caught.value)


def test_nothing_is_called_wherever_in_a_config_it_stands(tmp_path):
    ran = tmp_path / "ran"
    command = f"{{_target_: os.system, command: touch {ran}}}"
    lines = [
        f"+regime.callbacks.x={command}",
        f"regime.trainer.logger={command}",
        f"regime.trainer.plugins=[{command}]",
        f"model.widths=[{command}]",
    ]
    for line in lines:
        with pytest.raises(UserError, match="may not call 'os.system'"):
            compose([line])
    with pytest.raises(UserError, match="may not call 'os.system'"):
        build(OmegaConf.create({"_target_": "torch.nn.Linear", "bias": {"_target_": "os.system", "command": str(ran)}}))
    assert not ran.exists()


def test_a_stored_config_is_held_to_the_same_list():
    with pytest.raises(UserError, match=r"model.layers\[1\]._target_: a config may not call 'pandas.read_pickle'"):
        read_config("model:\n  layers:\n  - 1\n  - {_target_: pandas.read_pickle, x: 'http://x'}\n")
    with pytest.raises(UserError, match="may not call"):
        read_config("model: {_target_: '${name}'}\nname: os.system\n")


def test_all_that_medfit_chooses_by_itself_is_allowed():
    for path in CONF.glob("**/*.yaml"):
        for where, called in allowed.calls(OmegaConf.to_container(OmegaConf.load(path)), path.stem):
            allowed.check(called["_target_"], where)
            schema.signatures.of(called["_target_"])


def test_classes_of_ones_own_are_allowed_and_what_they_import_is_not(tmp_path, monkeypatch):
    (tmp_path / "my_own_net.py").write_text(
        "import os\nimport torch\nclass Net:\n    pass\ndef make():\n    return 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert build(OmegaConf.create({"_target_": "my_own_net.make"})) == 3
    assert type(build(OmegaConf.create({"_target_": "my_own_net.Net"}))).__name__ == "Net"
    for target in ("my_own_net.os.system", "my_own_net.torch.load"):
        with pytest.raises(UserError, match=f"may not call '{target}'"):
            build(OmegaConf.create({"_target_": target}))


@pytest.mark.parametrize("entry", ["fractions.Fraction", "fractions", "other, fractions"])
def test_the_environment_allows_more(entry, monkeypatch):
    node = OmegaConf.create({"_target_": "fractions.Fraction", "numerator": 3})
    with pytest.raises(UserError, match="MEDFIT_ALLOW=fractions.Fraction"):
        build(node)
    monkeypatch.setenv("MEDFIT_ALLOW", entry)
    assert build(node) == 3
    with pytest.raises(UserError, match="may not call"):
        build(OmegaConf.create({"_target_": "fractions.re.compile", "pattern": "x"}))


@pytest.mark.parametrize(
    ("node", "allows"),
    [
        ({"_target_": "monai.networks.nets.HoverNet", "pretrained_url": "http://x"}, False),
        ({"_target_": "monai.networks.nets.MILModel"}, False),  # fetches unless told otherwise
        ({"_target_": "monai.networks.nets.MILModel", "pretrained": True}, False),
        ({"_target_": "monai.networks.nets.UNet", "pretrained": False}, True),
    ],
)
def test_weights_of_others_are_not_fetched(node, allows):
    from hydra.utils import get_object

    found = get_object(node["_target_"])
    if allows:
        allowed.check_arguments(node["_target_"], found, node, "model")
        return
    with pytest.raises(UserError, match=r"model\.pretrained\w*: .* would fetch or read others' weights"):
        allowed.check_arguments(node["_target_"], found, node, "model")
