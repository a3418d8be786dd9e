"""What tracking and studies have to know of a data set: nothing of its samples."""

from typing import Protocol


class TrackedData(Protocol):
    """A data set, or its description alone; see :class:`medfit.data.dataset.Dataset`, as with all members."""

    @property
    def name(self) -> str:
        """The data set's name."""
        ...

    @property
    def task(self) -> str:
        """The kind of target."""
        ...

    @property
    def source(self) -> str:
        """Where the data come from, with their licence."""
        ...

    def __len__(self) -> int:
        """Returns the number of samples."""
        ...

    def schema(self) -> list[dict[str, str]]:
        """Returns the names, kinds, roles and units of features and targets; no values."""
        ...

    def fingerprint(self) -> str:
        """Returns a hash of all values and of whose they are."""
        ...
