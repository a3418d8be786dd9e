"""What a preprocessing has learnt: a value that is stored without pickle, and applied to samples never seen before."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from medfit.errors import UserError

FILE = "preprocessing.json"


@dataclass(frozen=True, kw_only=True)
class Fitted(ABC):
    """What was learnt from the training rows, with the settings that say how it is applied; all of it plain values.

    Args:
        features: Names of columns or channels, in their order.
        units: Of features and targets by name, where they have one.
        target_names: Of the positive class, the classes, the labels, the targets or the masks' classes, in the order
            of the outputs.
    """

    features: list[str]
    units: dict[str, str]
    target_names: list[str]

    @abstractmethod
    def apply(self, samples: Any) -> Any:
        """Returns samples as the network takes them; they need no targets, and may be of patients never seen before.

        Raises:
            UserError: they differ in kind from those that it was learnt from.
        """

    def rows_held(self) -> str | None:
        """Returns what its files hold of the rows that it was learnt from, row by row; None if nothing."""
        return None

    def save(self, folder: Path) -> None:
        """Writes all of it to files in a folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps({"class": _name(type(self)), **self.values()}, indent=1))

    def values(self) -> dict[str, Any]:
        """Returns what the JSON file holds."""
        return asdict(self)

    @classmethod
    def read(cls, folder: Path, values: dict[str, Any]) -> Self:
        """Returns what was stored.

        Args:
            folder: That :meth:`save` wrote.
            values: What its JSON file holds.
        """
        return cls(**values)

    def check_features(self, names: Sequence[str]) -> None:
        """Refuses channels other than those that it was learnt from.

        Raises:
            UserError: the names or their order differ.
        """
        if list(names) != self.features:
            raise UserError(
                f"the samples have {', '.join(names)}, but the preprocessing has learnt {', '.join(self.features)}"
            )


def load(folder: Path) -> Fitted:
    """Returns what :meth:`Fitted.save` wrote to a folder.

    Raises:
        UserError: the folder holds none, or one that is not medfit's.
    """
    from hydra.utils import get_class  # late: a quick start

    try:
        values = json.loads((folder / FILE).read_text())
        kind = get_class(values.pop("class"))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UserError(f"{folder.name}: holds no fitted preprocessing that can be read") from error
    if not issubclass(kind, Fitted):
        raise UserError(f"{folder.name}: {_name(kind)} is no fitted preprocessing")
    return kind.read(folder, values)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def listed(values: Sequence[Any] | None) -> list[Any] | None:
    """Returns a setting of several numbers as JSON gives it back."""
    return None if values is None else list(values)
