"""Whether those who taught the weights that a training starts from are among its own test patients."""

from collections.abc import Mapping

import numpy as np

from medfit.data import leaks
from medfit.data.dataset import Dataset
from medfit.data.leaks import Scan
from medfit.tracking import patients
from medfit.training.initial_weights import InitialWeights

_TOLD: set[str] = set()


def check(weights: InitialWeights, dataset: Dataset, rows: Mapping[str, np.ndarray], strict: bool) -> Scan:
    """Looks for the source's patients among the test patients, says once in a process what was found, and returns it.

    Args:
        weights: To start from.
        dataset: That is divided.
        rows: Row numbers of each split.
        strict: Whether a finding is an error.

    Raises:
        UserError: of a finding, in strict mode.
    """
    found = _scan(weights, dataset, rows)
    for line in [*found.findings, *found.notes]:
        if line not in _TOLD:
            _TOLD.add(line)
            leaks.tell(Scan([line] if line in found.findings else [], [line] if line in found.notes else []), strict)
    leaks.refuse(found, strict)
    return found


def _scan(weights: InitialWeights, dataset: Dataset, rows: Mapping[str, np.ndarray]) -> Scan:
    test = dataset.groups[rows["test"]]
    if not len(test):
        return Scan([], [])
    number, told = len(np.unique(test)), weights.told
    unknown = f"whether patients who taught the weights of {told} are among the {number} test patients is not known"
    if weights.taught is None:
        return Scan([], [unknown])
    shared, known = patients.among(weights.folder, weights.taught, dataset.fingerprint(), test)
    finding = f"{shared} of {number} test patients taught the weights of {told}, by their keyed hashes"
    return Scan([finding] if shared else [], [] if known else [f"{unknown} of all of them" if shared else unknown])
