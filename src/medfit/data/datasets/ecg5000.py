"""ECG5000: heartbeats of one patient with heart failure."""

from pathlib import Path

import numpy as np

from medfit.data.datasets.series import Series

FILE = Path(__file__).parent / "bundled" / "ecg5000.npz"
CLASSES = ["normal", "R-on-T PVC", "PVC", "supraventricular", "unclassified"]


class ECG5000(Series):
    """5,000 heartbeats, one channel of 140 samples each, stretched to that length and z-scored beat by beat.

    Five classes of very unequal size (2919, 1767, 96, 194 and 24 beats); official split of 500 training and 4500
    test beats, so validation beats are taken from the training ones. All beats are of a single patient (record
    chf07 of the BIDMC Congestive Heart Failure Database): results say how well this patient's beats are told
    apart, not how well another's would be. Source: UCR archive 2018 (Dau et al., IEEE/CAA Journal of Automatica
    Sinica 2019), from PhysioNet (Goldberger et al. 2000; ODC-By 1.0); bundled.
    """

    def __init__(self) -> None:
        with np.load(FILE) as file:
            parts = {name: file[name] for name in file.files}
        sizes = len(parts["y_train"]), len(parts["y_test"])
        super().__init__(
            name="ecg5000",
            x=np.concatenate([parts["x_train"], parts["x_test"]])[:, None, :],
            channels=["ecg"],
            y=np.concatenate([parts["y_train"], parts["y_test"]]).astype(np.int64) - 1,
            task="multiclass",
            target_names=CLASSES,
            given_split=np.repeat(["train", "test"], sizes),
            source="ECG5000, UCR archive 2018, from PhysioNet BIDMC-CHF (ODC-By 1.0)",
        )
