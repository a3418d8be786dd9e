"""The command line: ``medfit COMMAND [overrides]``."""

import gc
import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from medfit import __version__
from medfit.errors import UserError, interruption

if TYPE_CHECKING:
    from omegaconf import DictConfig

COMMANDS = {
    "inspect": "show what a data set holds, a row a column, before anything is trained",
    "train": "train one model",
    "sweep": "search the space of a sweep for the best values, and write best.yaml",
    "evaluate": "train over several seeds and score the test split beside baselines; write results.csv",
    "compare": "tell whether one run is better than another on the same patients",
    "explain": "show why a finished run predicts what it predicts, and check the explanations",
    "predict": "apply a finished model to new patients, and write what it predicts",
    "validate": "score a finished model on another hospital's patients, and tell how they differ",
    "export": "write a finished model as one file, ONNX or torch.export, for programs without medfit",
    "register": "give a finished model a name in MLflow's registry, and a card",
    "serve": "answer requests with a finished model by MLflow's server, on this machine only",
    "sample": "write images that a finished run of a generator makes",
    "rerun": "do a finished run again, with the code that it had, and tell whether its numbers come back",
    "report": "write an experiment's page of results",
    "doctor": "end what a killed process left running, send what was kept, and see that studies and runs agree",
    "ui": "browse the runs with MLflow, on this machine only",
    "dashboard": "watch a sweep with Optuna's pages, on this machine only",
}
NAMED = {"compare": "compare.runs=[{}]"} | {  # what runs given by themselves mean
    command: f"{command}.{'run' if command in ('explain', 'rerun') else 'model'}={{}}"
    for command in ("explain", "predict", "validate", "export", "register", "serve", "rerun")
}
SHORT = {  # settings that a command takes without its name before them
    "predict": ("data", "out", "id"),
    "validate": ("data", "absent", "subgroups", "update_share"),
    "export": ("format", "out"),
    "register": ("name", "alias", "purpose"),
    "serve": ("port",),
    "rerun": ("here", "tolerance"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: 0 done, 2 a user's mistake, 3 a run that was done again has other numbers, 130 interrupted.
    """
    if argv is None:
        background = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # a script's, which SIGTERM alone interrupts
        sys.unraisablehook = partial(_interrupt_again, signal.SIGTERM if background else signal.SIGINT)
        gc.disable()  # until all is imported, which leaves no garbage: looking for it takes a third of the time
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    try:
        return _run(arguments[0], arguments[1:])
    except BaseException as error:
        if interruption(error):
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # there is nothing more to end
            print("medfit: interrupted; what was finished is kept", file=sys.stderr)
            return 130
        if not isinstance(error, UserError) or os.environ.get("MEDFIT_DEBUG") == "1":
            raise
        print(f"medfit: {error}", file=sys.stderr)
        return 2


def _interrupt_again(number: signal.Signals, unraisable: "sys.UnraisableHookArgs") -> None:
    """Repeats an interruption that was lost, as Python can raise nothing in, say, a callback of an import."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        # later, for here it would be lost again, and in the main thread, for it may be waiting
        threading.Timer(0.05, signal.pthread_kill, [threading.main_thread().ident, number]).start()
    else:
        sys.__unraisablehook__(unraisable)


def _run(command: str, overrides: list[str]) -> int:
    from medfit.errors import suggest  # late: a quick start

    if command not in COMMANDS:
        raise UserError(f"there is no command '{command}'{suggest(command, COMMANDS)}; see medfit --help")
    overrides = _named(command, overrides)
    if {"-h", "--help"} & set(overrides):
        print(_command_help(command))
        return 0
    from medfit.workers import fork_server  # late: a quick start

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: runs KILLED, servers stopped
    if command == "sweep" and "sweep.workers=0" not in overrides:
        fork_server.warm_up()
    if command in ("ui", "dashboard", "doctor"):  # mean all, not the default experiment's, where none is named
        overrides = ["experiment=", *overrides]
    status = 0
    for combination in expand(overrides):
        # first, so that a mistake is told before anything long is imported
        cfg = _composed(combination, infer_task=command != "inspect")
        module = import_module(f"medfit.{command}")
        if not gc.isenabled():
            gc.freeze()
            gc.enable()
        status = max(status, module.main(cfg) or 0)
    return status


def _composed(overrides: list[str], infer_task: bool) -> "DictConfig":
    from medfit.config.compose import compose  # late: a quick start
    from medfit.workers import fork_server

    try:
        return compose(overrides, infer_task)
    except BaseException:
        fork_server.give_up()
        raise


def _named(command: str, arguments: list[str]) -> list[str]:
    """Returns a command's arguments with the runs that are given by themselves as an override, in their order."""
    from medfit.config.overrides import as_override  # late: a quick start

    if command == "validate" and not any(line.startswith("dataset=") for line in arguments):
        arguments = [f"validate.{line}" if line.startswith("dataset.") else line for line in arguments]
    short = tuple(f"{key}=" for key in SHORT.get(command, ()))
    arguments = [f"{command}.{argument}" if argument.startswith(short) else argument for argument in arguments]
    runs = [argument for argument in arguments if "=" not in argument and not argument.startswith(("-", "~"))]
    if command not in NAMED or not runs:
        return arguments
    rest = [argument for argument in arguments if argument not in runs]
    return [*rest, NAMED[command].format(",".join(map(as_override, runs)))]


def expand(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Yields each combination of overrides, as ``model=mlp,linear`` means two."""
    from medfit.config import typed  # late: a quick start

    return (list(lines) for lines in itertools.product(*(typed.choices(typed.spelled(line)) for line in overrides)))


def _usage() -> str:
    commands = "\n".join(f"  {name:<10}{line}" for name, line in COMMANDS.items())
    return f"""medfit {__version__}: deep learning in medicine, configured, swept and tracked

Usage: medfit COMMAND [key=value ...]

{commands}

medfit COMMAND --help lists what can be chosen. Examples:
  medfit train model=linear regime.epochs=20
  medfit sweep experiment=heart_disease_diagnosis sweep.num_trials=50
  medfit inspect dataset=table dataset.path=my.csv
  medfit train dataset=table dataset.path=my.csv dataset.target=outcome"""


def _command_help(command: str) -> str:
    from medfit.config import help  # late: a quick start

    return f"medfit {command}: {COMMANDS[command]}\n\n{help.describe()}"


if __name__ == "__main__":
    sys.exit(main())
