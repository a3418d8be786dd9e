"""Training without a validation split: what it does without, and what it refuses."""

from functools import partial

from torch.optim.lr_scheduler import ReduceLROnPlateau

from medfit.errors import UserError
from medfit.tasks.regime import Training

TOLD = (
    "split.val=0: there is no validation split, so nothing stops a training early, the last epoch's weights are kept, "
    "and there are no validation scores"
)
SCORED = (
    "split.val=0: there was no validation split, so what is scored is the last epoch's weights, and no thresholds were "
    "chosen and nothing was recalibrated"
)


def check(regime: Training) -> None:
    """Makes sure that nothing follows a validation score.

    Raises:
        UserError: the schedule or a callback does.
    """
    scheduler = getattr(regime, "scheduler", None)
    if isinstance(scheduler, partial) and scheduler.func is ReduceLROnPlateau:
        raise UserError(
            "regime.scheduler: ReduceLROnPlateau follows a validation score, which split.val=0 leaves none of; take "
            "another, as regime/scheduler=cosine, or split.val=0.2"
        )
    for name, callback in regime.callbacks.items():
        if str(monitor := getattr(callback, "monitor", None)).startswith("val/"):
            raise UserError(
                f"regime.callbacks.{name}: it follows {monitor}, which split.val=0 leaves none of; let it follow "
                "train/loss, or give split.val=0.2"
            )
