"""medfit: experiment tracking for deep learning in medicine."""

from typing import TYPE_CHECKING

from medfit.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from medfit.deployment.finished_model import AnyModel


def load_model(address: str, *overrides: str) -> "AnyModel":
    """Returns a finished model, whose ``predict`` takes a table's rows, or a file or folder of new patients.

    Args:
        address: The MLflow id of a finished training, an address as ``models:/name@champion``, or the folder of a
            model that was downloaded.
        *overrides: Of the config, as ``tracking.uri=http://...``, where the model is not in the project's own store.

    Raises:
        UserError: there is no such model.
    """
    from medfit.deployment import logged  # late: importing medfit costs nothing

    return logged.find(address, overrides)
