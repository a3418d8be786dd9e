"""The kind of target that is the images themselves: there is nothing to predict, only more of them to make."""

from medfit.evidence.predictions import TargetKind


class Generation(TargetKind):
    """Images like those of the training split; no row of a table has a prediction."""

    name = "generation"
    headline = "frechet"
    of_images = True
