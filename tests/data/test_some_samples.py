import numpy as np
import pandas as pd

from medfit.data.datasets.samples import Samples
from medfit.data.some_samples import some_of


def test_a_part_has_its_own_targets_patients_and_facts_and_the_whole_keeps_them():
    whole = Samples(
        name="made", y=np.array([[1.0], [0.0], [1.0], [0.0]]), task="binary", target_names=["ill"],
        groups=np.array(["a", "a", "b", "c"]), given_split=np.array(["train", "val", "test", "train"]),
        facts=pd.DataFrame({"ward": [7, 8, 9, 10]}),
    )  # fmt: skip
    part = some_of(whole, np.array([2, 3]))
    assert len(part) == 2 and part.y.tolist() == [[1], [0]] and part.groups.tolist() == ["b", "c"]
    assert part.given_split.tolist() == ["test", "train"] and part.strata.tolist() == [1, 0]
    assert part.column("ward", "it").tolist() == [9, 10] and part.target_names == ["ill"]
    assert (
        len(whole) == 4
        and whole.column("ward", "it").tolist() == [7, 8, 9, 10]
        and whole.strata.tolist() == [1, 0, 1, 0]
    )


def test_what_is_not_known_stays_so():
    whole = Samples(name="made", y=np.array([[1.5], [0.5]]), task="regression", target_names=["pain"])
    part = some_of(whole, np.array([1]))
    assert part.strata is None and part.given_split is None and part.y.tolist() == [[0.5]]
