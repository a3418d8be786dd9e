"""Breast Cancer Wisconsin (Diagnostic)."""

import numpy as np

from medfit.data.datasets.records import Records


class BreastCancer(Records):
    """569 fine-needle aspirates of breast masses, one per patient; malignant (positive, 212) or benign (357).

    Thirty features of the cell nuclei (mean, standard error and worst of ten measures, in pixels and ratios);
    no missing cells; no official split. Source: Wolberg, Mangasarian, Street, Street 1995, UCI
    doi:10.24432/C5DW2B (CC BY 4.0), as packaged with scikit-learn.
    """

    def __init__(self) -> None:
        from sklearn.datasets import load_breast_cancer  # late: a quick start

        data = load_breast_cancer(as_frame=True)
        super().__init__(
            name="breast_cancer",
            x=data.data,
            y=(data.target.to_numpy() == 0).astype(np.float32)[:, None],
            task="binary",
            target_names=["malignant"],
            source="Breast Cancer Wisconsin (Diagnostic), UCI doi:10.24432/C5DW2B, CC BY 4.0",
        )
