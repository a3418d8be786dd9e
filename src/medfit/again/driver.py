"""Does a recorded config again; run by its path in a process of its own, where ``medfit`` may be another version's.

So it takes as little of medfit as it can. Its standard input tells it what to do, in a line of JSON, and in another to
begin; it answers in lines of JSON. The end of its input interrupts it: also if the process that started it dies.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO


def main() -> int:
    """Does it again; returns the exit status: 0 done, 2 a user's mistake, 130 interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what medfit shows is for the terminal
    asked, begin = json.loads(_line()), threading.Event()
    threading.Thread(target=_listen, args=[begin, asked["what"]], daemon=True).start()
    try:
        import medfit.errors  # late: Ctrl-C may come
    except KeyboardInterrupt:
        return 130
    try:
        _again(asked, begin, answers)
    except KeyboardInterrupt:
        return 130
    except medfit.errors.UserError as error:
        _tell(answers, error=str(error))
        return 2
    except ImportError as error:  # of an old code, or a package that it needs
        _tell(answers, error=f"the code of the run can't run with what is installed here: {error}")
        return 2
    return 0


def _again(asked: dict[str, Any], begin: threading.Event, answers: TextIO) -> None:
    import medfit  # late: Ctrl-C may come while it is imported
    from medfit.errors import UserError

    if Path(medfit.__file__).parent.resolve() != Path(asked["package"]):
        raise UserError(f"the code of the run is not what Python imports, but {medfit.__file__}")
    import torch  # late: a mistake is told without it
    from omegaconf import OmegaConf

    cfg = OmegaConf.create(asked["config"])
    if asked["threads"]:
        torch.set_num_threads(asked["threads"])
    _tell(answers, **_facts(cfg))
    begin.wait()
    _tell(answers, run=DOERS[asked["what"]](cfg, asked["tags"]))


def _train(cfg: Any, tags: dict[str, str]) -> str | None:
    """Returns the run's id."""
    from medfit.terminal.epoch_bar import EpochBar  # late: training begins only when it is told to
    from medfit.train import train

    with EpochBar(cfg.regime.epochs, cfg.task.monitor) as bar:
        train(cfg, callbacks=[bar], tags=tags)
    return bar.run_id


def _sweep(cfg: Any, tags: dict[str, str]) -> None:
    from medfit.terminal.progress import SweepDisplay  # late, as all of medfit

    with SweepDisplay() as display:
        _function("sweep")(cfg, display)


def _evaluate(cfg: Any, tags: dict[str, str]) -> None:
    _function("evaluate")(cfg)


def _function(name: str) -> Callable[..., Any]:
    """Returns the function that a command calls; the command itself would write best.yaml or results.csv."""
    function: Callable[..., Any] = getattr(import_module(f"medfit.{name}"), name)
    return function


DOERS: dict[str, Callable[[Any, dict[str, str]], str | None]] = {
    "training": _train,
    "sweep": _sweep,
    "evaluation": _evaluate,
}


def _facts(cfg: Any) -> dict[str, Any]:
    """Returns what is compared with what a run recorded."""
    from medfit.terminal.console import silent  # late, as all of medfit
    from medfit.tracking import provenance
    from medfit.training.parts import prepare

    with silent():  # training says it all again
        data = prepare(cfg).datamodule
    return {
        "environment": provenance.environment(),
        "data": data.dataset.fingerprint(),
        "split": str(data.proof["assignment_sha256"]),
        "weights": str((data.proof.get("init_from") or {}).get("sha256", "")),
    }


def _tell(answers: TextIO, **facts: Any) -> None:
    print(json.dumps(facts), file=answers, flush=True)


def _listen(begin: threading.Event, what: str) -> None:
    if _line():
        begin.set()
        _line()
    # a sweep lets its running trials end after one Ctrl-C
    os.kill(os.getpid(), signal.SIGINT if what == "training" else signal.SIGTERM)


def _line() -> bytes:
    """Returns a line of standard input, nothing at its end; it keeps no lock that would be in the way at exit."""
    line = b""
    while not line.endswith(b"\n"):
        if not (sign := os.read(0, 1)):
            return b""
        line += sign
    return line


if __name__ == "__main__":
    sys.exit(main())
