"""What to try when a batch does not fit in memory."""

import torch
from omegaconf import DictConfig

from medfit.data.inputs import in_words
from medfit.errors import UserError
from medfit.training import recomputed
from medfit.training.parts import Parts, sizes

FULL = ("32-true", "64-true")  # precisions that a GPU halves


def told(cfg: DictConfig, parts: Parts, device: torch.device) -> str:
    """Returns what to say of a training that does not fit, and what may help, in order of cost.

    Args:
        cfg: The training's config.
        parts: What is trained.
        device: It is trained on.
    """
    data = parts.datamodule
    what = f"a batch of {data.batch_size} samples of {in_words(data.input_shape)} values does not fit in memory; "
    cures = _cures(cfg, parts, device)
    return what + ("try in this order: " if len(cures) > 1 else "") + "; ".join(cures)


def _cures(cfg: DictConfig, parts: Parts, device: torch.device) -> list[str]:
    regime, size = parts.regime, parts.datamodule.batch_size
    cures = []
    if regime.precision in FULL and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        cures.append("regime.precision=bf16-mixed")
    if size > 1:
        added = f" with regime.accumulate={2 * regime.accumulate}" if parts.task.automatic_optimization else ""
        cures.append(f"regime.batch_size={-(-size // 2)}{added}")
    if not regime.gradient_checkpointing and _may_recompute(parts):
        cures.append(f"{recomputed.PATH}=true (a third more time)")
    return [*cures, f"lower {sizes(cfg, 'the size of the model')}"]


def _may_recompute(parts: Parts) -> bool:
    try:
        recomputed.check(parts.task, parts.regime)
    except UserError:
        return False
    return True
