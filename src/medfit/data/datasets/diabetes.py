"""Diabetes progression."""

import numpy as np

from medfit.data.datasets.records import Records


class Diabetes(Records):
    """442 patients with diabetes: ten baseline measures, and disease progression one year later.

    The progression is a score without a unit (25 to 346); no missing cells; no official split. Source: Efron,
    Hastie, Johnstone, Tibshirani, "Least Angle Regression", Annals of Statistics 2004, as packaged with
    scikit-learn (the unscaled values).
    """

    def __init__(self) -> None:
        from sklearn.datasets import load_diabetes  # late: a quick start

        data = load_diabetes(as_frame=True, scaled=False)
        super().__init__(
            name="diabetes",
            x=data.data,
            y=data.target.to_numpy(dtype=np.float32)[:, None],
            task="regression",
            target_names=["progression"],
            units={"age": "years", "bmi": "kg/m2", "bp": "mmHg"},
            source="Efron et al., Annals of Statistics 2004",
        )
