"""What data sets share, whatever their samples are."""

import functools
import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.kind import Kind
from medfit.errors import UserError, suggest
from medfit.evidence.targets.known import named


class Samples:
    """A :class:`medfit.data.dataset.Dataset` of a kind: samples ``(x, y)`` with patients, targets and units.

    Args:
        name: Of the data set; names the MLflow experiment where no experiment is named.
        y: The targets: float32 (samples, outputs), or class numbers int64 (samples,) for multiclass.
        task: The task that the targets call for.
        target_names: Of the positive class, the classes, the labels or the targets.
        groups: The patient of each sample; None where each sample is a patient.
        given_split: ``train``, ``val`` or ``test`` for each sample; None to divide at random.
        units: Of features and targets, where they have one.
        source: Where the data come from, with their licence.
        facts: Columns that say of each sample what is no feature, such as its site: for folds and subgroups.
        excluded: How many samples were read and left out, by the reason.

    Attributes:
        kind: What the samples are; a class of each kind names it.
        strata: Each sample's class for stratified splits, None where the target has none.
    """

    kind: Kind[Any]

    def __init__(
        self,
        *,
        name: str,
        y: np.ndarray,
        task: str,
        target_names: Sequence[str],
        groups: np.ndarray | None = None,
        given_split: np.ndarray | None = None,
        units: Mapping[str, str] | None = None,
        source: str = "",
        facts: pd.DataFrame | None = None,
        excluded: Mapping[str, int] | None = None,
    ) -> None:
        self.name, self.y, self.task, self.source = name, y, task, source
        self.target_names = [str(target) for target in target_names]
        self.groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        self.given_split = given_split
        self.units = dict(units or {})
        self.facts = pd.DataFrame(index=range(len(y))) if facts is None else facts.reset_index(drop=True)
        self.excluded = {reason: number for reason, number in (excluded or {}).items() if number}
        self.strata = named(task).strata(y)

    def __len__(self) -> int:
        return len(self.y)

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        """Returns a sample as it was read."""

    @abstractmethod
    def features(self) -> list[dict[str, str]]:
        """Returns the features' names and kinds; no values."""

    @abstractmethod
    def contents(self) -> Iterator[bytes]:
        """Yields all values of ``x``, for the fingerprint."""

    def column(self, name: str, where: str) -> pd.Series:
        """Returns what a column says of each sample: a fact, or a feature of a table.

        Args:
            name: Of the column.
            where: The config path that names it, for the error.

        Raises:
            UserError: there is no such column.
        """
        for table in self.tables():
            if name in table:
                return table[name]
        known = [str(column) for table in self.tables() for column in table]
        have = f" (columns: {', '.join(known)})" if known else ", nor any other"
        raise UserError(f"{where}: the data set has no column '{name}'{suggest(name, known)}{have}")

    def tables(self) -> list[pd.DataFrame]:
        """Returns the tables whose columns say something of each sample."""
        return [self.facts]

    def schema(self) -> list[dict[str, str]]:
        """Returns the names, kinds, roles and units of features and targets; no values."""
        features = [{**feature, "role": "feature"} for feature in self.features()]
        targets = [{"name": target, "kind": self.task, "role": "target"} for target in self.target_names]
        return [{**column, "unit": self.units.get(column["name"], "")} for column in features + targets]

    @functools.cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(json.dumps(self.schema()).encode())
        for part in self.contents():
            digest.update(part)
        digest.update(np.ascontiguousarray(self.y).tobytes())
        # patients by number, so that the same ones under other names are the same data
        digest.update(pd.factorize(np.asarray(self.groups))[0].astype("<i8").tobytes())
        if self.given_split is not None:
            digest.update(" ".join(self.given_split).encode())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Returns a hash of all values, names, kinds, given splits and of which samples are one patient's."""
        return self._digest
