"""Splits by patient: train, val and test."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from medfit.data.dataset import Dataset
from medfit.errors import UserError

SPLITS = ("train", "val", "test")
MOST_SITES = 100
Share = Annotated[float, Field(gt=0, lt=1)]
ShareOrNone = Annotated[float, Field(ge=0, lt=1)]
Rows = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Divides a data set's patients at random, or as its own split column says.

    Args:
        val: Share of the patients for validation. 0 trains on all patients but those of the test split, those of a
            given validation split among them.
        test: Share of the patients for the test.
        seed: Of the division alone.
        stratify: Whether each split gets its share of every class, where the target has classes.
        sampling: ``over`` repeats rows of rare classes in the training split, ``under`` leaves out rows of
            common ones, until the classes are equal; ``none`` does neither.
        num_folds: Divides the patients into folds, of which number ``fold`` is the test split, whatever ``test``
            and the data set's split column say; None takes the share ``test``.
        fold: From 0.
        val_folds: Divides the patients that are not in the test split into folds, of which number ``val_fold`` is the
            validation split, whatever ``val`` and the data set's split column say; None takes the share ``val``.
        val_fold: From 0.
        num_patients: How many of the patients outside the test split train and validate, drawn at random; the others
            are left out. None takes all.
        site: The column that says where each sample comes from: the test split is all of site number ``fold``, in the
            order of their names, and no other's; None to divide otherwise.
    """

    val: ShareOrNone = 0.2
    test: Share = 0.2
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    stratify: bool = True
    sampling: Literal["none", "over", "under"] = "none"
    num_folds: Annotated[int, Field(ge=2)] | None = None
    fold: Annotated[int, Field(ge=0)] = 0
    val_folds: Annotated[int, Field(ge=2)] | None = None
    val_fold: Annotated[int, Field(ge=0)] = 0
    num_patients: Annotated[int, Field(ge=2)] | None = None
    site: str | None = None

    def __call__(self, dataset: Dataset, usable: np.ndarray | None = None) -> Rows:
        """Returns the row numbers of each split.

        Args:
            dataset: With ``groups`` (the patient of each sample), ``strata`` (its class, or None) and
                ``given_split`` (or None).
            usable: Marks the samples to divide; None for all.

        Raises:
            UserError: too few patients, a fold that there is not, a split without samples, or one that holds a
                single class.
        """
        usable = np.ones(len(dataset), dtype=bool) if usable is None else usable
        taken = self.val + self._test_share
        if taken >= 1 and not self.val_folds:
            raise UserError(f"split: val and test take {taken:.2f} of the patients; leave some to train on")
        assignment = self._assign(dataset, usable)
        rows = {name: np.flatnonzero(usable & (assignment == name)) for name in SPLITS}
        check_patients(rows, dataset.groups)
        self._check_classes({name: rows[name] for name in SPLITS if name != "val" or self._validates}, dataset.strata)
        return {**rows, "train": self._resample(rows["train"], dataset.strata)}

    @property
    def _validates(self) -> bool:
        return self.val > 0 or self.val_folds is not None

    @property
    def _test_share(self) -> float:
        return 1 / self.num_folds if self.num_folds else self.test

    def _assign(self, dataset: Dataset, usable: np.ndarray) -> np.ndarray:
        """Returns each sample's split."""
        assignment = np.full(len(dataset), "train", dtype="<U5")
        wanted = {"test": self._test_share, "val": self.val}
        if self.site:
            assignment[self._of_site(dataset, usable)] = "test"
            del wanted["test"]
        elif dataset.given_split is not None and self.num_folds is None:
            assignment = dataset.given_split.astype("<U5")
            given = set(assignment[usable]) - ({"val"} if self.val_folds else set())
            wanted = {name: share for name, share in wanted.items() if name not in given}
        if not self._validates:
            wanted.pop("val", None)
        for name, share in wanted.items():
            if name == "val":  # a given one, that folds pass over; the test split has been drawn without it
                assignment[assignment == "val"] = "train"
                self._limit(dataset, usable, assignment)
            taken = 0 if name == "test" or "test" not in wanted else self._test_share
            free = np.flatnonzero(usable & (assignment == "train"))
            assignment[self._choose(dataset, free, name, share / (1 - taken))] = name
        if "val" not in wanted:
            self._limit(dataset, usable, assignment)
        if not self._validates:
            assignment[assignment == "val"] = "train"
        return assignment

    def _limit(self, dataset: Dataset, usable: np.ndarray, assignment: np.ndarray) -> None:
        """Leaves out all but some of the patients outside the test split."""
        if self.num_patients is None:
            return
        free = np.flatnonzero(usable & (assignment != "test"))
        if self.num_patients >= (there := len(np.unique(dataset.groups[free]))):
            raise UserError(f"split.num_patients={self.num_patients}: there are {there} outside the test split, in all")
        chosen = self._choose(dataset, free, "num_patients", self.num_patients)
        assignment[np.setdiff1d(free, chosen)] = "none"

    def _of_site(self, dataset: Dataset, usable: np.ndarray) -> np.ndarray:
        """Marks the samples of the site that is tested."""
        name = str(self.site)
        site = sites(dataset, name)
        names = np.unique(site[usable])
        if self.fold >= len(names):
            raise UserError(f"split.fold={self.fold}: the last of the {len(names)} sites is {len(names) - 1}")
        chosen = site == names[self.fold]
        elsewhere = np.isin(dataset.groups[~chosen & usable], dataset.groups[chosen & usable])
        if several := len(np.unique(dataset.groups[~chosen & usable][elsewhere])):
            raise UserError(f"split.site: {several} patients of '{names[self.fold]}' were seen at other sites too")
        return chosen

    def _choose(self, dataset: Dataset, rows: np.ndarray, name: str, share: float) -> np.ndarray:
        """Returns the rows of a share of the patients, or of so many, with every class's share where there are any."""
        patients, first, code = np.unique(dataset.groups[rows], return_index=True, return_inverse=True)
        if len(patients) < 2:
            raise UserError(f"split: {len(patients)} patients are too few to divide")
        strata = None
        if self.stratify and dataset.strata is not None:
            strata = _patient_strata(dataset.strata[rows], code, len(first))
        folds = {"test": self.num_folds, "val": self.val_folds}.get(name)
        try:
            chosen = self._fold(strata, len(patients), name) if folds else self._share(strata, len(patients), share)
        except ValueError as error:
            hint = "; split.stratify=false divides without regard to classes" if strata is not None else ""
            raise UserError(f"split: {len(patients)} patients can't be divided ({error}){hint}") from error
        return rows[np.isin(code, chosen)]

    def _share(self, strata: np.ndarray | None, num_patients: int, share: float) -> np.ndarray:
        from sklearn.model_selection import train_test_split  # late: a quick start

        everyone = np.arange(num_patients)
        return train_test_split(everyone, test_size=share, random_state=self.seed, stratify=strata)[1]

    def _fold(self, strata: np.ndarray | None, num_patients: int, name: str) -> np.ndarray:
        from sklearn.model_selection import KFold, StratifiedKFold  # late: a quick start

        key, keys = ("fold", "num_folds") if name == "test" else ("val_fold", "val_folds")
        fold, num_folds = getattr(self, key), getattr(self, keys)
        if fold >= num_folds:
            raise UserError(f"split.{key}={fold}: the last of {num_folds} folds is {num_folds - 1}")
        if num_patients < num_folds:
            raise UserError(f"split.{keys}={num_folds}: {num_patients} patients are too few to divide")
        if strata is not None and (counts := np.bincount(strata)[np.unique(strata)]).min() < num_folds:
            raise ValueError(f"a class has {counts.min()} patients for {num_folds} folds")
        kind = KFold if strata is None else StratifiedKFold
        folds = kind(num_folds, shuffle=True, random_state=self.seed).split(np.zeros(num_patients), strata)
        return list(folds)[fold][1]

    def _check_classes(self, rows: Rows, strata: np.ndarray | None) -> None:
        for name, chosen in rows.items():
            if len(chosen) == 0:
                raise UserError(f"split: no samples are left for {name}")
            if name == "test" and self.site:
                continue  # a site may have one class: what that leaves undefined is a gap in the results
            if strata is not None and len(np.unique(strata)) > 1 and len(np.unique(strata[chosen])) == 1:
                raise UserError(
                    f"split: {name} holds a single class in its {len(chosen)} samples; try another split.seed"
                )

    def _resample(self, rows: np.ndarray, strata: np.ndarray | None) -> np.ndarray:
        if self.sampling == "none":
            return rows
        if strata is None:
            raise UserError(f"split.sampling={self.sampling} needs a target of classes")
        _, code, counts = np.unique(strata[rows], return_inverse=True, return_counts=True)
        rng = np.random.default_rng(self.seed)
        size = counts.max() if self.sampling == "over" else counts.min()
        chosen = [_draw(rng, rows[code == c], size) for c in range(len(counts))]
        return np.sort(np.concatenate(chosen))


def sites(dataset: Dataset, column: str) -> np.ndarray:
    """Returns the site of each sample.

    Raises:
        UserError: there is no such column, it is missing somewhere, or has one value.
    """
    values = dataset.column(column, "split.site")
    if values.isna().any():
        raise UserError(f"split.site: '{column}' is missing in {int(values.isna().sum())} samples")
    if values.nunique() < 2:
        raise UserError(f"split.site: '{column}' has one value; there is no other site to test on")
    if values.nunique() > MOST_SITES:
        raise UserError(f"split.site: '{column}' has {values.nunique()} values, more than sites can be ({MOST_SITES})")
    return values.astype(str).to_numpy(dtype=str)


def _draw(rng: np.random.Generator, rows: np.ndarray, size: int) -> np.ndarray:
    """Draws rows without repeats where there are enough, else all of them and repeats."""
    if size <= len(rows):
        return rng.choice(rows, size, replace=False)
    return np.concatenate([rows, rng.choice(rows, size - len(rows))])


def _patient_strata(strata: np.ndarray, code: np.ndarray, num_patients: int) -> np.ndarray:
    """Returns each patient's stratum: the rarest class among the samples (a positive one, for a diagnosis)."""
    _, classes, counts = np.unique(strata, return_inverse=True, return_counts=True)
    rarity = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")  # 0: the commonest class
    rank = np.zeros(num_patients, dtype=int)
    np.maximum.at(rank, code, rarity[classes])
    return rank


def check_patients(rows: Rows, groups: np.ndarray) -> None:
    """Makes sure that no patient is in two splits.

    Raises:
        UserError: some are; says how many, never who.
    """
    seen = [(name, set(groups[chosen].tolist())) for name, chosen in rows.items()]
    for i, (name, patients) in enumerate(seen):
        for other, others in seen[i + 1 :]:
            if shared := len(patients & others):
                raise UserError(f"split: {shared} patients are in both {name} and {other}")


def proof(rows: Rows, dataset: Dataset, usable: np.ndarray | None = None) -> dict[str, Any]:
    """Returns what shows the split: counts of samples, patients and classes, where they went, and a hash of it all.

    Args:
        rows: Row numbers of each split.
        dataset: That is divided.
        usable: Marks the samples that preprocessing could use; None for all.
    """
    check_patients(rows, dataset.groups)
    facts: dict[str, Any] = {"patients_in_two_splits": 0}
    digest = hashlib.sha256()
    for name, chosen in rows.items():
        digest.update(name.encode() + np.ascontiguousarray(chosen, dtype="<i8").tobytes())
        facts[name] = {"samples": len(chosen), "patients": len(np.unique(dataset.groups[chosen]))}
        if dataset.strata is not None:
            classes, counts = np.unique(dataset.strata[chosen], return_counts=True)
            facts[name]["classes"] = dict(zip(map(str, classes.tolist()), counts.tolist(), strict=True))
    facts["assignment_sha256"] = digest.hexdigest()
    facts["flow"] = _flow(rows, dataset, len(dataset) if usable is None else int(usable.sum()))
    if (missing := dataset.kind.missing(dataset)) is not None:
        facts["missing"] = missing
    return facts


def _flow(rows: Rows, dataset: Dataset, num_usable: int) -> dict[str, Any]:
    """Returns how many samples were read, why others of them are in no split, and how many are in one."""
    divided = np.unique(np.concatenate(list(rows.values())))
    excluded = dict(dataset.excluded)
    return {
        "read": len(dataset) + sum(excluded.values()),
        "excluded": excluded,
        "unusable": len(dataset) - num_usable,
        "not_drawn": num_usable - len(divided),  # common classes, where sampling=under; all beyond num_patients
        "divided": len(divided),
        "patients": len(np.unique(dataset.groups[divided])),
    }
