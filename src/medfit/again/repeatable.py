"""What of a sweep can't be the same again, whatever the code, the data and the machine."""

from typing import Any

from omegaconf import OmegaConf

from medfit.again.recorded import Recorded

ENDED_BY_TIME = ("max_hours", "trial_timeout_s", "trial_memory_gib")


def not_fixed(recorded: Recorded) -> str:
    """Returns what chance decides of a run that is done again, in words; nothing if all is repeatable."""
    config: Any = OmegaConf.create(recorded.config)
    nested = recorded.what == "evaluation" and OmegaConf.select(config, "evaluate.nested")
    if recorded.what != "sweep" and not nested:
        return ""
    told = []
    if (several := _workers(config)) > 1:
        told.append(
            f"{several} workers shared the trials, and the sampler proposes by those that had ended, an order of chance"
        )
    if limits := [f"sweep.{name}" for name in ENDED_BY_TIME if OmegaConf.select(config, f"sweep.{name}") is not None]:
        told.append(f"{' and '.join(limits)} ended trials by the clock or the machine")
    return "; ".join(told)


def _workers(config: Any) -> int:
    """Returns how many processes shared a study's trials, those of a cluster included."""
    engine = OmegaConf.select(config, "sweep.engine") or {}
    of_one = OmegaConf.select(config, "sweep.workers") or 1
    return int(of_one) * int(engine.get("num_actors") or engine.get("num_jobs") or 1)
