"""The kinds of target by the words that configs, schemas and the tags of runs have for them."""

from medfit.evidence.predictions import TargetKind
from medfit.evidence.targets.generated_images import Generation
from medfit.evidence.targets.probabilities import Binary, MultiClass, MultiLabel
from medfit.evidence.targets.quantities import Regression
from medfit.evidence.targets.regions import Segmentation

ALL = (Binary(), MultiLabel(), MultiClass(), Regression(), Segmentation(), Generation())
TARGETS: dict[str, TargetKind] = {kind.name: kind for kind in ALL}  # a plug-in adds its own


class Unknown(TargetKind):
    """A kind that this medfit does not know, or that is not known yet; it has nothing that not all kinds have.

    Args:
        name: The word for it; empty before the first run.
    """

    def __init__(self, name: str) -> None:
        self.name = name


def named(word: str) -> TargetKind:
    """Returns the kind of target that a word means."""
    return TARGETS.get(word) or Unknown(word)
