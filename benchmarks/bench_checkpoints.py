"""What it costs a training to have its state written now and then."""

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

from bench_table import Result, single

MOST = 1.0  # percent
TRAINING_S = 600
LARGE = ["dataset=mni_tissue", "model.widths=[64,128,256,512]", "regime.epochs=1", "preprocessing.patch_size=[32,32]"]


def row(repeats: int, seed: int) -> list[Result]:
    """Returns what share of ten minutes it takes to write a large U-Net's state as often as is the default.

    Args:
        repeats: Writes that are timed, after one that is not.
        seed: Of weights and batches.
    """
    from medfit.config.compose import compose
    from medfit.training import state_file
    from medfit.training.checkpoints import Checkpoints
    from medfit.training.parts import prepare
    from medfit.training.trainer import BestWeights, fit, make_trainer

    parts = prepare(compose([*LARGE, f"seed={seed}"]))
    taken: list[float] = []

    class Timed(Checkpoints):
        due = True  # after each batch

        def write(self, *told: Any, **others: Any) -> None:
            began = time.perf_counter()
            super().write(*told, **others)
            taken.append(time.perf_counter() - began)
            if len(taken) > repeats:
                raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.state"
        keep = lambda content, epoch: state_file.write_packed(path, {"epoch": epoch}, content)  # noqa: E731
        every_min = parts.regime.checkpoint_every_min
        checkpoints = Timed(parts.datamodule.order, every_min, keep)
        with contextlib.suppress(SystemExit):  # Lightning's way to tell of the end
            fit(make_trainer(parts, [BestWeights(parts.task)], checkpoints=checkpoints), parts)
        megabytes = path.stat().st_size / 1e6
    num_writes = TRAINING_S / 60 / every_min
    shares = [100 * num_writes * seconds / TRAINING_S for seconds in taken[1:]]
    what = f"writing a training's state every {every_min:g} min, % of {TRAINING_S / 60:g} min"
    note = f"{num_writes:g} writes of {megabytes:.0f} MB, {1000 * taken[-1]:.0f} ms each"
    return [single("checkpoints", what, MOST, shares, "%", note)]
