"""Recurrence or death after surgery for breast cancer: patients of Rotterdam, and elsewhere those of a German trial."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.config import folders
from medfit.data.datasets.records import Records
from medfit.data.readers.files import read_table
from medfit.errors import UserError

Cohort = Literal["rotterdam", "gbsg"]
DAYS_PER_YEAR = 365.25
SIZES_MM = ("<=20", "20-50", ">50")
FOLLOW_UPS = {  # the cohort's columns of a time in days and of its event
    "rotterdam": [("rtime", "recur"), ("dtime", "death")],
    "gbsg": [("rfstime", "status")],
}
FEATURES = {  # column of the files: our name, kind, unit
    "age": ("age", "numeric", "years"),
    "meno": ("postmenopausal", "boolean", ""),
    "size": ("tumour size", "categorical", "mm"),
    "grade": ("grade 3", "boolean", ""),
    "nodes": ("positive nodes", "numeric", ""),
    "pgr": ("progesterone receptor", "numeric", "fmol/l"),
    "er": ("oestrogen receptor", "numeric", "fmol/l"),
    "hormon": ("hormonal therapy", "boolean", ""),
}
FACTS = {"year": "year of surgery", "chemo": "chemotherapy"}  # of Rotterdam alone
CODES = {"grade": (1, 2, 3), **dict.fromkeys(("meno", "hormon", "chemo", "recur", "death", "status"), (0, 1))}


class Recurrence(Records):
    """Patients after surgery for breast cancer; positive where it recurred or they died within some years.

    2982 patients of Rotterdam's tumour bank, operated 1978 to 1993, or 686 of a trial of the German Breast Cancer Study
    Group (1984 to 1989), all with positive lymph nodes. Both have the same eight features: the trial's size in mm is
    put into Rotterdam's classes, and its grade 1 beside grade 2, as Rotterdam's file has grades 2 and 3 alone. Whether
    a patient had chemotherapy, and the year, is known in Rotterdam alone: a fact, no feature.

    Patients who were followed for less than those years, without an event, are left out and counted. As all early
    events stay, the share of patients with an event is larger than their risk, the more so the shorter a cohort was
    followed.

    Sources: Foekens et al., Cancer Research 2000; Schumacher et al., Journal of Clinical Oncology 1994; both as
    Royston and Altman, BMC Medical Research Methodology 2013, used them, from R's package survival.

    Args:
        cohort: ``rotterdam`` or ``gbsg``.
        path: The folder of ``rotterdam.csv`` and ``gbsg.csv``; None for ``data/survival`` in the project's folder.
        horizon_years: Within which an event counts, in years of 365.25 days.

    Raises:
        UserError: no such file, columns or codes, or all patients who are left had an event, or none had.
    """

    def __init__(
        self, cohort: Cohort, path: str | None = None, horizon_years: Annotated[float, Field(gt=0)] = 3.0
    ) -> None:
        folder = folders.ROOT / "data" / "survival" if path is None else Path(path).expanduser()
        patients = _read(folder / f"{cohort}.csv", cohort)
        event, known = outcome(patients, FOLLOW_UPS[cohort], horizon_years * DAYS_PER_YEAR)
        years = f"{horizon_years:g} year{'s' * (horizon_years != 1)}"
        if len(set(event[known])) < 2:
            raise UserError(
                f"dataset.horizon_years: of the patients who were followed for {years} or had an event before, all are "
                "alike; choose another horizon"
            )
        kept = patients[known]
        super().__init__(
            name=f"recurrence_{cohort}",
            x=_features(kept),
            y=event[known].to_numpy(dtype=np.float32)[:, None],
            task="binary",
            target_names=[f"recurrence or death within {years}"],
            groups=(f"{cohort} " + kept["pid"].astype(str)).to_numpy(dtype=str),
            kinds={name: kind for name, kind, _ in FEATURES.values()},
            units={name: unit for name, _, unit in FEATURES.values() if unit},
            facts=kept[[column for column in FACTS if column in kept]].rename(columns=FACTS),
            excluded={f"followed for less than {years}, without recurrence or death": int((~known).sum())},
            source="Foekens et al. 2000 and Schumacher et al. 1994, from R's package survival",
        )


def outcome(
    patients: pd.DataFrame, follow_ups: Iterable[tuple[str, str]], horizon_days: float
) -> tuple[pd.Series, pd.Series]:
    """Returns who had an event within a horizon, and of whom that is known, a bool each in the shape (patients,).

    An event within the horizon is known however short another follow-up was; that there was none is known only where
    all of them reach the horizon.

    Args:
        patients: A row each.
        follow_ups: Columns of a time in days, and of 1 where it ended with the event, else 0.
        horizon_days: The last day that counts.
    """
    event = pd.Series(False, index=patients.index)
    followed = pd.Series(True, index=patients.index)
    for time, status in follow_ups:
        event |= (patients[status] == 1) & (patients[time] <= horizon_days)
        followed &= patients[time] >= horizon_days
    return event, event | followed


def size_class(size_mm: pd.Series) -> pd.Series:
    """Returns Rotterdam's classes of sizes in mm: to 20, above 20 to 50, above 50."""
    return pd.cut(size_mm, [-np.inf, 20, 50, np.inf], labels=SIZES_MM).astype(object)


def _features(patients: pd.DataFrame) -> pd.DataFrame:
    size = patients["size"]
    classes = size_class(size) if pd.api.types.is_numeric_dtype(size) else size.astype(object)
    made = patients.assign(size=classes, grade=(patients["grade"] == 3).astype(int))
    return made[list(FEATURES)].rename(columns={old: new for old, (new, _, _) in FEATURES.items()})


def _read(file: Path, cohort: Cohort) -> pd.DataFrame:
    """Returns a cohort's columns, checked against what R's package has."""
    if not file.is_file():
        raise UserError(
            f"dataset.path: there is no file '{file}'; it is in R's package survival, and the README of "
            "experiments/recurrence_elsewhere says how to get it"
        )
    table = read_table(file)
    columns = ["pid", *FEATURES, *(column for pair in FOLLOW_UPS[cohort] for column in pair)]
    columns += list(FACTS) if cohort == "rotterdam" else []
    if lacking := [column for column in columns if column not in table]:
        raise UserError(f"dataset.path: '{file}' has no column '{lacking[0]}', which R's {cohort} has")
    for column in columns:
        _check(table[column], "size classes" if (column, cohort) == ("size", "rotterdam") else "numbers", file)
    if table["pid"].duplicated().any():
        raise UserError(f"dataset.path: '{file}' has patients twice (column 'pid')")
    return table[columns]


def _check(cells: pd.Series, expected: str, file: Path) -> None:
    name = str(cells.name)
    if expected == "size classes":
        right, allowed = cells.isin(SIZES_MM), ", ".join(SIZES_MM)
    else:
        numbers = pd.to_numeric(cells, errors="coerce")
        right = numbers.isin(CODES[name]) if name in CODES else numbers >= 0
        allowed = ", ".join(map(str, CODES[name])) if name in CODES else "numbers of 0 or more"
    if not right.all():
        raise UserError(
            f"dataset.path: column '{name}' of '{file}' should hold {allowed}, as R's data do; "
            f"{int((~right).sum())} cells don't"
        )
