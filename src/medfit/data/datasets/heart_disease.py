"""Cleveland heart disease."""

from pathlib import Path

import numpy as np
import pandas as pd

from medfit.data.datasets.records import Records

FILE = Path(__file__).parent / "bundled" / "heart_disease_cleveland.csv"
KINDS = {
    "gender": "categorical",
    "chest pain": "categorical",
    "fasting blood sugar > 120": "boolean",
    "rest ECG": "categorical",
    "exerc ind ang": "boolean",
    "slope peak exc ST": "categorical",
    "thal": "categorical",
}


class HeartDisease(Records):
    """303 patients sent for coronary angiography; positive (139) where a vessel is narrowed by more than half.

    Thirteen features of mixed kinds; 6 missing cells in two columns; no official split. Source: Detrano et al.,
    American Journal of Cardiology 1989, UCI doi:10.24432/C52P4X (CC BY 4.0); bundled.
    """

    def __init__(self) -> None:
        table = pd.read_csv(FILE)
        target = table.pop("diameter narrowing")
        super().__init__(
            name="heart_disease",
            x=table,
            y=target.to_numpy(dtype=np.float32)[:, None],
            task="binary",
            target_names=["narrowed"],
            kinds={column: KINDS.get(column, "numeric") for column in table},
            units={
                "age": "years",
                "rest SBP": "mmHg",
                "cholesterol": "mg/dl",
                "max HR": "1/min",
                "ST by exercise": "mm",
            },
            source="Heart Disease (Cleveland), UCI doi:10.24432/C52P4X, CC BY 4.0",
        )
