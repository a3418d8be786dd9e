"""Images of another data set with targets, looked at as a finished model looks at new patients' images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medfit.data.dataset import ImageDataset
from medfit.data.datasets.faults import Faults
from medfit.data.some_samples import some_of
from medfit.deployment.expected_columns import Oddity
from medfit.deployment.expected_images import Look, check, look, oddities
from medfit.errors import UserError

WHERE = "validate.data"


def settings_of_any(settings: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a data set's settings; colours become grey, or grey colours, where they did so in training.

    Args:
        settings: Of any data set of images.
        about: As :func:`medfit.deployment.new_images.describe` gave it.
    """
    recoloured = about["recoloured"] and "channels" in settings and settings["channels"] is None
    return {**settings, "channels": list(about["channels"])} if recoloured else dict(settings)


def as_expected(
    dataset: ImageDataset, about: Mapping[str, Any], absent: Sequence[str]
) -> tuple[Any, list[Oddity], np.ndarray]:
    """Returns a data set of the images that the model takes, what is odd about all of them, and which are taken.

    Args:
        dataset: Any images.
        about: As :func:`medfit.deployment.new_images.describe` gave it.
        absent: Is not used, as images have no columns.

    Raises:
        UserError: other channels, or an image that the model can't take and is not to be skipped.
    """
    here, wanted = list(dataset.channels), list(about["channels"])
    if len(here) != len(wanted) or (here != wanted and set(here) == set(wanted)):
        raise UserError(
            f"{WHERE}: the images' channels are {', '.join(here)}; the model takes {', '.join(wanted)}, in this order"
        )
    faults, looks = Faults(about["on_error"]), list[Look | None]()
    for row, name in enumerate(dataset.file_names):
        looks.append(None)
        with faults.of(name):
            image = dataset.image(row)
            check(name, image, about)
            looks[row] = look(image)
    faults.tell("images")
    rows = np.flatnonzero([one is not None for one in looks])
    if not len(rows):
        raise UserError(next(iter(faults.reasons.values()), f"{WHERE}: there are no images"))
    made = some_of(dataset, rows)
    made.channels, made.file_names = wanted, [dataset.file_names[row] for row in rows]
    made.image = lambda index: dataset.image(int(rows[index]))
    odd = list(oddities(looks, about))
    if here != wanted:
        names = f"called {', '.join(here)}, and taken for {', '.join(wanted)} in this order"
        odd.append(Oddity("channels", names, np.ones(len(looks), dtype=bool)))
    return made, odd, rows
