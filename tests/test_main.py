import gc
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from medfit import __main__ as cli
from medfit import __version__
from medfit.config import folders
from medfit.errors import UserError


def test_help_names_every_command(capsys):
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {command}" in shown for command in cli.COMMANDS)


def test_help_takes_less_than_half_a_second_and_imports_no_torch():
    code = "import sys; from medfit.__main__ import main; main(['--help']); print('torch' in sys.modules)"
    times = []
    for _ in range(3):
        started = time.perf_counter()
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        times.append(time.perf_counter() - started)
    assert shown.endswith("False\n")
    assert min(times) < 0.5


def test_commands_that_train_nothing_themselves_begin_without_torch():
    commands = [command for command in cli.COMMANDS if command not in ("train", "evaluate")]
    code = (
        "import sys; from importlib import import_module\n"
        f"for command in {commands}:\n"
        "    import_module(f'medfit.{command}')\n"
        "    if heavy := {'torch', 'sklearn', 'mlflow'} & set(sys.modules): print(command, *heavy)"
    )
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_a_commands_help_lists_every_choice_with_a_line(command, capsys):
    assert cli.main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for group, choices in folders.groups().items():
        if group == "sweep/space":
            continue
        start = lines.index(group)
        section = lines[start + 1 : start + 1 + len(choices)]
        assert [line.split()[0] for line in section] == sorted(choices)
        assert all(len(line.split()) > 2 for line in section)
    assert any(line.strip().startswith("heart_rate ") and "?" in line for line in lines)


def test_the_version_is_shown(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_an_unknown_command_is_told_with_the_nearest(capsys):
    assert cli.main(["swep"]) == 2
    assert "there is no command 'swep'; did you mean 'sweep'?" in capsys.readouterr().err


def test_a_users_mistake_is_one_line_and_exit_status_2(capsys):
    assert cli.main(["train", "regime.epcohs=3"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "medfit: unknown key 'regime.epcohs'; did you mean 'regime.epochs'?\n"
    assert captured.out == ""


def test_a_full_traceback_is_there_for_developers(monkeypatch):
    monkeypatch.setenv("MEDFIT_DEBUG", "1")
    with pytest.raises(Exception, match="unknown key"):
        cli.main(["train", "regime.epcohs=3"])


def test_a_mistake_is_told_before_a_commands_module_is_imported(capsys, monkeypatch):
    monkeypatch.setattr(cli, "import_module", None)
    assert cli.main(["sweep", "model.dropout=2", "sweep.workers=0"]) == 2
    assert "model.dropout" in capsys.readouterr().err


def test_garbage_is_collected_once_all_is_imported(monkeypatch):
    collects = []

    def imported(name):
        collects.append(gc.isenabled())
        return SimpleNamespace(main=lambda cfg: collects.append(gc.isenabled()))

    monkeypatch.setattr(cli, "import_module", imported)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(sys, "argv", ["medfit", "train", "seed=1,2"])
    try:
        assert cli.main() == 0
    finally:
        gc.enable()
        gc.unfreeze()
    assert collects == [False, True, True, True]


def test_several_choices_are_run_one_after_another(output_dir, client):
    fixed = [f"output_dir={output_dir}", "dataset=breast_cancer", "regime=smoke", "tracking.plots=false"]
    assert cli.main(["train", "model=mlp,linear", *fixed]) == 0
    runs = client.search_runs([client.get_experiment_by_name("breast_cancer").experiment_id])
    assert {run.data.params["model"] for run in runs} == {"mlp", "linear"}


def test_the_module_runs_as_the_console_command_does():
    done = subprocess.run([sys.executable, "-m", "medfit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_several_choices_make_several_configs():
    combinations = list(cli.expand(["model=mlp,linear", "seed=1,2", "regime.epochs=3"]))
    assert combinations[1] == ["model=mlp", "seed=2", "regime.epochs=3"]
    assert len(combinations) == 4


def test_a_list_is_one_value_not_several():
    assert list(cli.expand(["model.widths=[8,4]"])) == [["model.widths=[8,4]"]]


@pytest.mark.parametrize("line", ["foo", "=3", "model.widths=[1"])
def test_an_override_that_cannot_be_read_is_named(line):
    with pytest.raises(UserError, match="cannot read the override"):
        list(cli.expand([line]))


INTERRUPTED_IN_A_CALLBACK = """
import signal, sys, time, weakref
from medfit import __main__ as cli

class Thing: pass

def interrupted(_):
    raise KeyboardInterrupt

def run(command, overrides):
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as every command does
    thing = Thing()
    kept = weakref.ref(thing, interrupted)
    del thing  # where Python can raise nothing
    time.sleep(30)

signal.signal(signal.SIGINT, {})
cli._run = run
sys.argv = ["medfit", "train"]
sys.exit(cli.main())
"""


@pytest.mark.parametrize("ctrl_c", ["signal.default_int_handler", "signal.SIG_IGN"], ids=["terminal", "background"])
def test_an_interruption_where_python_can_raise_nothing_is_not_lost(ctrl_c):
    started, code = time.perf_counter(), INTERRUPTED_IN_A_CALLBACK.format(ctrl_c)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stderr == "medfit: interrupted; what was finished is kept\n"
    assert time.perf_counter() - started < 25


@pytest.mark.parametrize("told", [UserError("defaults: broken"), AttributeError("broken")])
def test_an_interruption_on_which_a_library_failed_is_one(monkeypatch, capsys, told):
    def run(command, overrides):
        try:
            try:
                raise KeyboardInterrupt
            finally:
                raise AttributeError("'NoneType' object has no attribute 'flags'")
        except AttributeError as error:
            raise told from error

    monkeypatch.setattr(cli, "_run", run)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err == "medfit: interrupted; what was finished is kept\n"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["explain", "abc"], ["explain.run=abc"]),
        (["compare", "a1", "b2", "compare.metrics=[auroc]"], ["compare.metrics=[auroc]", "compare.runs=[a1,b2]"]),
    ],
)
def test_runs_may_be_named_by_themselves(arguments, meant):
    assert cli._named(arguments[0], arguments[1:]) == meant
