"""What a kind of data says of itself: the base of all kinds."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from medfit.data.near_duplicates import Prints
from medfit.errors import UserError

D = TypeVar("D", contravariant=True)


class Kind(Generic[D]):
    """Says what depends on the kind of data; a data set names its kind, and nothing else asks what it holds.

    A new kind is a class of its own, anywhere: what it doesn't say is left out, or refused in a line.

    Attributes:
        samples: What a data set holds, in words.
        preprocessing: The choice of the config group ``preprocessing`` that takes such samples.
        baselines: Dotted name of what gives baselines, as :func:`medfit.evaluation.baselines.of_samples` does.
        explainer: Dotted name of a :class:`medfit.explanations.explainer.Family`; None if nothing explains this kind.
        new_samples: Dotted name of the module that reads new patients' samples, as
            :mod:`medfit.deployment.new_tables` does; None if nothing reads this kind.
    """

    samples: ClassVar[str]
    preprocessing: ClassVar[str]
    baselines: ClassVar[str] = "medfit.evaluation.baselines.of_samples"
    explainer: ClassVar[str | None] = None
    new_samples: ClassVar[str | None] = None

    def prints(self, dataset: D) -> Prints | None:
        """Returns what tells samples apart, or None if the kind can't tell near-duplicates."""
        return None

    def repeated(self, then: D, now: D) -> int:
        """Returns how many samples of a data set are samples of an earlier one, too, as far as the kind can tell.

        Args:
            then: The earlier one.
            now: The other, of the same features or channels.
        """
        old, new = self.prints(then), self.prints(now)
        if old is None or new is None:
            return 0
        return int((np.isin(new.digests, old.digests[old.telling]) & new.telling).sum())

    def column_leaks(self, dataset: D, rows: Mapping[str, np.ndarray]) -> Iterator[str]:
        """Yields a line for each feature that gives patient or target away; nothing where features have no meaning.

        Args:
            dataset: Of this kind.
            rows: Row numbers of each split, each number once.
        """
        return iter(())

    def private(self, dataset: D, rows: np.ndarray) -> Iterator[str]:
        """Yields features that a finished model would have to list by the values of single patients.

        Args:
            dataset: Of this kind.
            rows: Those that are learnt from.
        """
        return iter(())

    def facts(self, dataset: D) -> Iterator[tuple[str, str]]:
        """Yields what ``medfit inspect`` says of the samples, with a heading each; nothing of a single patient."""
        return iter(())

    def missing(self, dataset: D) -> dict[str, int] | None:
        """Returns how many cells of each column are missing, of the columns that lack any; None without columns."""
        return None


def check_kind(dataset: Any, preprocessing: str) -> None:
    """Refuses a data set that another preprocessing takes.

    Args:
        dataset: As :class:`medfit.data.dataset.Dataset` describes it.
        preprocessing: The name of the one that was chosen.

    Raises:
        UserError: the data set's kind names another one.
    """
    kind: Kind[Any] = dataset.kind
    if kind.preprocessing != preprocessing:
        raise UserError(
            f"preprocessing={preprocessing}: {dataset.name} holds {kind.samples}, which take "
            f"preprocessing={kind.preprocessing}"
        )
