import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.metrics import roc_auc_score

from medfit.config import folders
from medfit.config.compose import _compose, compose
from medfit.config.instantiate import load_dataset
from medfit.data import leaks
from medfit.data.column_leaks import telling
from medfit.data.datasets.images import Images
from medfit.data.datasets.records import Records
from medfit.data.datasets.series import Series
from medfit.data.image import Image
from medfit.data.kind import Kind
from medfit.data.kinds import images as images_kind
from medfit.data.kinds import table as table_kind
from medfit.data.leaks import check, scan
from medfit.data.splits import Split
from medfit.errors import UserError
from medfit.evidence.associations import Area, RankCorrelation
from medfit.training.parts import prepare

SHARED = Path(__file__).parents[3] / "shared" / "data"
few = settings(max_examples=25, deadline=None)


def rng(seed=0):
    return np.random.default_rng(seed)


def about(y, task="binary", **more):
    names = ["t"] if np.ndim(y) == 1 and task == "binary" else more.pop("names", ["t"])
    made = (
        np.asarray(y, dtype=np.int64) if task == "multiclass" else np.asarray(y, dtype=np.float32).reshape(len(y), -1)
    )
    return {"name": "made", "y": made, "task": task, "target_names": names, **more}


def coin(num_rows, seed=9):
    return rng(seed).random(num_rows) < 0.4


def table(num_rows=300, num_columns=6, seed=0):
    return pd.DataFrame(rng(seed).normal(size=(num_rows, num_columns))).add_prefix("c")


def records(x, y=None, task="binary", **more):
    return Records(x=x, **about(coin(len(x)) if y is None else y, task, **more))


def series(x, y=None):
    names = [str(c) for c in range(len(x[0]))]
    return Series(x=x, channels=names, **about(coin(len(x)) if y is None else y))


def images(arrays, masks=None, reader=None):
    masks = [None] * len(arrays) if masks is None else masks
    readers = [reader or (lambda x=x, mask=mask: Image(x, mask)) for x, mask in zip(arrays, masks, strict=True)]
    names = [f"{k}.png" for k in range(len(arrays))]
    if masks[0] is not None:
        kind = {"name": "made", "task": "segmentation", "target_names": ["none", "some"]}
        return Images(names=names, readers=readers, channels=["c"], **kind)
    return Images(names=names, readers=readers, channels=["c"], **about(coin(len(arrays))))


def pictures(num=60, size=(28, 28), seed=0):
    """Faces of one kind: a common picture, and each one's own smooth deviations."""
    common = np.cumsum(np.cumsum(rng(99).normal(size=size), 0), 1)
    own = np.cumsum(rng(seed).normal(size=(num, *size)), 2)
    return [(common + part)[None].astype(np.float32) for part in own]


def waves(num=80, channels=1, length=140, seed=0):
    return rng(seed).normal(size=(num, channels, length)).cumsum(axis=2).astype(np.float32)


def thirds(num_rows):
    return {"train": np.arange(0, num_rows, 3), "val": np.arange(1, num_rows, 3), "test": np.arange(2, num_rows, 3)}


def found(data, rows=None):
    return scan(data, thirds(len(data)) if rows is None else rows).findings


# Samples that splits share


def test_unrelated_rows_share_nothing():
    assert found(records(table())) == []


@given(st.integers(1, 8), st.sampled_from(["val", "test"]), st.integers(0, 10**6))
@few
def test_copied_rows_are_counted(count, split, seed):
    x, rows = table(seed=seed), thirds(300)
    x.iloc[rows[split][:count]] = x.iloc[rows["train"][:count]].to_numpy()
    word = {"val": "validation", "test": "test"}[split]
    one = f"1 {word} row is identical to a training row"
    assert found(records(x)) == [one if count == 1 else f"{count} {word} rows are identical to training rows"]


@given(st.integers(2, 8), st.integers(0, 10**6))
@few
def test_rows_that_rounding_parts_are_nearly_identical(count, seed):
    x, rows = table(seed=seed) * [1, 10, 100, 1e4, 1e-3, 5] + 1000, thirds(300)
    noise = rng(seed + 1).uniform(-4e-4, 4e-4, (count, 6)) * x.std().to_numpy()
    x.iloc[rows["test"][:count]] = x.iloc[rows["train"][:count]].to_numpy() + noise
    assert found(records(x)) == [f"{count} test rows are nearly identical to training rows"]


def mixed(num_rows=300):
    x = table(num_rows, 3).assign(word=rng(1).choice(list("abcd"), num_rows), yes=rng(2).integers(0, 2, num_rows) * 1.0)
    x.loc[rng(3).random(num_rows) < 0.2, ["c1", "word"]] = np.nan
    return x, {"c0": "numeric", "c1": "numeric", "c2": "numeric", "word": "categorical", "yes": "boolean"}


def test_rows_of_mixed_columns_with_missing_cells_are_compared():
    x, kinds = mixed()
    assert found(records(x, kinds=kinds)) == []
    x.loc[[2, 5, 8]] = x.loc[[0, 3, 6]].to_numpy()
    x.loc[[11, 14]] = x.loc[[9, 12]].to_numpy()
    x.loc[[11, 14], "c0"] += 1e-5
    expected = [f"{n} test rows are {how}identical to training rows" for n, how in ((3, ""), (2, "nearly "))]
    assert found(records(x.astype({"c0": float, "c1": float, "c2": float, "yes": float}), kinds=kinds)) == expected


def test_row_with_another_category_is_another_row():
    x, kinds = mixed()
    x.loc[2] = x.loc[0].to_numpy()
    x.loc[2, "word"] = "another"
    assert found(records(x.astype({"c0": float, "c1": float, "c2": float, "yes": float}), kinds=kinds)) == []


def test_rows_that_a_split_repeats_are_no_leak():
    rows = thirds(300)
    assert found(records(table()), rows | {"train": np.repeat(rows["train"], 3)}) == []


def test_copies_within_a_split_are_no_leak():
    x = table()
    x.iloc[3:30:3] = x.iloc[[0]].to_numpy()
    assert found(records(x)) == []


@pytest.mark.parametrize("seed", range(40))
def test_tables_of_few_answers_hold_equal_rows_by_chance(seed):
    random = rng(seed)
    num_rows, width = random.integers(60, 900), random.integers(1, 10)
    illness = random.normal(size=(num_rows, 1))
    answers = np.round(
        (illness * random.random() + random.normal(size=(num_rows, width))) * random.integers(1, 5, width)
    )
    x = np.c_[answers, answers.sum(axis=1)] if seed % 2 else answers
    assert found(records(pd.DataFrame(x).add_prefix("item"), coin(num_rows, seed + 1))) == []


def test_copies_stand_out_from_what_chance_makes_alike():
    x = pd.DataFrame(rng(0).integers(0, 5, (600, 12)).astype(float)).add_prefix("item")
    x.iloc[2:62:3] = x.iloc[0:60:3].to_numpy()
    assert found(records(x)) == ["20 test rows are identical to training rows"]


def test_empty_rows_say_nothing():
    x = table(300, 20)
    x.iloc[rng(1).permutation(300)[:100], 1:] = np.nan
    x["c0"] = 0.0 + (x.index % 2)
    assert found(records(x)) == []


def test_number_of_pairs_by_chance_is_what_unrelated_rows_give():
    sizes = [4, 6, 10]
    one, other = (np.stack([rng(s + k).integers(0, n, 2000) for k, n in enumerate(sizes)], axis=1) for s in (0, 50))
    alike = (one[:, None] == other[None]).all(axis=2).sum()
    assert table_kind.chance(one, other) == pytest.approx(2000**2 / 240, rel=0.1)
    assert table_kind.chance(one, other) == pytest.approx(alike, rel=0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_copied_series_are_counted(channels):
    x = waves(channels=channels)
    assert found(series(x)) == []
    x[[2, 5, 8]] = x[[0, 3, 6]]
    assert found(series(x)) == ["3 test series are identical to training series"]


@given(st.floats(0.1, 10), st.floats(-100, 100), st.floats(-0.1, 0.1), st.integers(0, 10**6))
@few
def test_series_in_another_unit_with_an_offset_and_a_drift_are_nearly_identical(scale, offset, drift, seed):
    x = waves(seed=seed)
    noise = rng(seed + 1).normal(0, 0.002, x.shape) * x.std(axis=2, keepdims=True)
    x[2] = scale * (x + noise)[0] + offset + drift * np.arange(140)
    assert found(series(x)) == ["1 test series is nearly identical to a training series"]


def test_series_of_many_lengths_are_compared():
    x = [part[:, : 100 + k] for k, part in enumerate(waves())]
    assert found(series(x)) == []
    x[2], x[5] = x[0].copy(), 2 * x[3]
    expected = [f"1 test series is {how}identical to a training series" for how in ("", "nearly ")]
    assert found(series(x)) == expected


def test_gaps_in_series_do_not_hide_a_copy():
    x = waves()
    x[0, 0, 10:20] = np.nan
    x[2] = 2 * x[0] + 1
    assert found(series(x)) == ["1 test series is nearly identical to a training series"]


def test_flat_series_say_nothing():
    x = waves()
    x[:20] = 0
    assert found(series(x)) == []


def test_copied_images_are_counted():
    arrays = pictures()
    assert found(images(arrays)) == []
    arrays[2], arrays[5] = arrays[0].copy(), arrays[3].copy()
    assert found(images(arrays)) == ["2 test images are identical to training images"]


@pytest.mark.parametrize("size", [(28, 28), (9, 40), (20, 24, 18)])
def test_images_of_another_brightness_and_with_noise_are_nearly_identical(size):
    flat = pictures(size=(size[0], int(np.prod(size[1:]))))
    arrays = [x.reshape(1, *size) for x in flat]
    arrays[2] = (3 * arrays[0] + 50 + rng(1).normal(0, 0.02 * arrays[0].std(), arrays[0].shape)).astype(np.float32)
    assert found(images(arrays)) == ["1 test image is nearly identical to a training image"]


def test_image_in_another_size_is_nearly_identical():
    arrays = pictures(size=(32, 32))
    arrays[2] = np.kron(arrays[0], np.ones((1, 2, 2), dtype=np.float32))
    assert found(images(arrays)) == ["1 test image is nearly identical to a training image"]


def test_black_images_say_nothing():
    arrays = pictures()
    arrays[:12] = [np.zeros_like(arrays[0])] * 12
    assert found(images(arrays)) == []


def test_images_with_masks_are_compared():
    arrays = pictures()
    arrays[2] = arrays[0].copy()
    masks = [np.ones(x.shape[1:], dtype=np.uint8) for x in arrays]
    assert found(images(arrays, masks)) == ["1 test image is identical to a training image"]


def test_images_that_take_long_to_read_are_left_out_with_a_note(monkeypatch):
    arrays = pictures()
    arrays[2] = arrays[0].copy()
    arrays[50] = arrays[48].copy()
    data = images(arrays)
    clock = iter(range(1000))
    monkeypatch.setattr(images_kind.time, "perf_counter", lambda: next(clock))
    result = scan(data, thirds(60))
    assert result.findings == ["1 test image is identical to a training image"]
    assert result.notes == ["only 11 of 60 images were compared, as reading them takes long"]


# Columns that tell the target


def planted(y, noise=0.0, seed=4):
    return table().assign(marker=np.asarray(y, dtype=float) + noise * rng(seed).normal(size=len(y)))


@pytest.mark.parametrize("sign", [1, -1])
def test_column_that_tells_a_yes_or_no_is_named(sign):
    x = planted(coin(300), 0.05)
    x["marker"] *= sign
    assert found(records(x)) == ["column 'marker' alone tells the target (AUROC 1.000 on the training rows)"]


def test_strong_but_not_perfect_column_is_none_of_them():
    x = planted(coin(300), 0.4)
    area = roc_auc_score(coin(300), x.marker)
    assert 0.93 < area < 0.98
    assert found(records(x)) == []


@pytest.mark.parametrize(("swapped", "named"), [(8, True), (40, False)])
def test_column_that_tells_nearly_all_is_named_from_an_auroc_of_99_percent_on(swapped, named):
    y = np.arange(400) % 2 == 1
    x = table(400).assign(marker=np.where(y, 1.0, 0.0) + rng(3).random(400) / 2)
    cases = np.flatnonzero(y)[:swapped]
    x.loc[cases, "marker"] = 0.45  # above nine tenths of the others
    area = roc_auc_score(y, x.marker)
    assert (0.99 < area < 0.998) if named else area < 0.99
    (row,) = [*telling(records(x, y), np.arange(400)), None][:1]
    assert row == (f"column 'marker' alone tells the target (AUROC {area:.3f} on the training rows)" if named else None)


def test_column_that_is_missing_where_the_target_is_no_is_named():
    x = table()
    x.loc[~coin(300), "c2"] = np.nan
    assert found(records(x)) == [
        "where column 'c2' is missing alone tells the target (AUROC 1.000 on the training rows)"
    ]


def test_words_that_tell_the_target_are_named():
    words = np.where(coin(300), rng(1).choice(["a", "b"], 300), rng(2).choice(["c", "d"], 300))
    x = table(num_columns=3).assign(word=words)
    kinds = {"c0": "numeric", "c1": "numeric", "c2": "numeric", "word": "categorical"}
    assert found(records(x, kinds=kinds)) == ["column 'word' alone tells the target (AUROC 1.000 on the training rows)"]


def test_many_rare_words_tell_nothing():
    x = table(num_columns=2).assign(word=rng(1).integers(0, 150, 300).astype(str))
    kinds = {"c0": "numeric", "c1": "numeric", "word": "categorical"}
    assert found(records(x, kinds=kinds)) == []


def test_codes_in_any_order_are_found():
    x = table().assign(code=np.where(coin(300), rng(1).choice([2, 5], 300), rng(2).choice([1, 3, 9], 300)))
    assert found(records(x)) == ["column 'code' alone tells the target (AUROC 1.000 on the training rows)"]


def test_label_that_a_column_tells_is_named():
    y = np.stack([coin(300), coin(300, 1)], axis=1)
    x = planted(y[:, 1])
    data = records(x, y, "multilabel", names=["flutter", "block"])
    assert found(data) == ["column 'marker' alone tells 'block' (AUROC 1.000 on the training rows)"]


def test_column_that_tells_all_classes_is_named():
    y = rng(1).integers(0, 4, 300)
    data = records(planted(y, 0.05), y, "multiclass", names=list("abcd"))
    assert found(data) == ["column 'marker' alone tells the target (AUROC 1.000 on the training rows)"]


def test_column_that_tells_one_class_alone_is_none_of_them():
    y = rng(1).integers(0, 3, 300)
    assert found(records(planted(y == 0), y, "multiclass", names=list("abc"))) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_column_that_is_the_number_in_another_unit_is_named(sign):
    y = rng(1).gamma(2, 10, 300)
    x = table().assign(marker=sign * np.log(y))
    assert found(records(x, y, "regression")) == [
        "column 'marker' alone tells the target (rank correlation 1.000 on the training rows)"
    ]


def test_related_number_is_none_of_them():
    y = rng(1).normal(size=300)
    x = table().assign(marker=y + 0.3 * rng(2).normal(size=300))
    assert spearmanr(x.marker, y)[0] > 0.9
    assert found(records(x, y, "regression")) == []


def test_only_training_rows_are_asked():
    y, rows = coin(300), thirds(300)
    x = planted(y)
    x.loc[rows["train"], "marker"] = rng(1).normal(size=100)
    assert found(records(x, y)) == []


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_few_rows_prove_nothing(task):
    y = np.arange(24) % 2 if task == "binary" else rng(1).normal(size=24)
    assert found(records(table(24).assign(marker=y * 1.0), y, task)) == []


@given(st.integers(0, 10**6))
@few
def test_strength_is_scikit_learns_area(seed):
    values, truth = rng(seed).integers(0, 9, 60), coin(60, seed + 1)
    area = roc_auc_score(truth, values)
    assert Area().strength(values, truth, either=False) == pytest.approx(area)
    assert Area().strength(values, truth) == pytest.approx(max(area, 1 - area))


@given(st.integers(0, 10**6))
@few
def test_strength_of_numbers_is_scipys_rank_correlation(seed):
    values, truth = rng(seed).integers(0, 9, 60), rng(seed + 1).normal(size=60)
    assert RankCorrelation().strength(values, truth, either=False) == pytest.approx(spearmanr(values, truth)[0])


# Identifiers


@pytest.mark.parametrize(
    ("values", "how"),
    [
        (np.arange(7000, 7300), ", in row order"),
        (np.sort(rng(3).choice(10**6, 300, replace=False)), ", in row order"),
        (rng(3).permutation(300) + 5, ", consecutive numbers"),
    ],
)
def test_whole_numbers_of_patients_are_named(values, how):
    line = f"column 'x' looks like an identifier: 300 different values in 300 rows{how}"
    assert found(records(table().assign(x=values * 1.0))) == [line]


@pytest.mark.parametrize("name", ["id", "patient_id", "MRN", "record number", "Case"])
def test_scattered_numbers_are_identifiers_by_their_name(name):
    values = rng(3).choice(10**6, 300, replace=False) * 1.0
    line = f"column '{name}' looks like an identifier: 300 different values in 300 rows, by its name"
    assert found(records(table().assign(**{name: values}))) == [line]
    assert found(records(table().assign(platelets=values))) == []


@pytest.mark.parametrize(
    "name, values", [("age", rng(0).integers(20, 90, 300)), ("patient_id", rng(0).integers(1, 4, 300))]
)
def test_numbers_that_repeat_are_no_identifiers_but_by_name(name, values):
    assert found(records(table().assign(**{name: values * 1.0}))) == []


def test_number_that_is_the_same_in_all_rows_of_a_patient_is_named():
    groups = np.repeat(np.arange(100), 3)
    data = records(table().assign(number=rng(1).permutation(100)[groups] + 400.0), groups=groups)
    line = "column 'number' looks like an identifier: 100 different values in 100 rows, consecutive numbers"
    assert found(data, Split()(data)) == [line]


# Real data


@pytest.mark.mostly_slow(fast=3)
@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "heart_disease", "heart_rate", "ecg5000"])
@pytest.mark.parametrize("seed", [0, 1])
def test_bundled_data_have_no_leak(name, seed):
    cfg = compose(["experiment=", f"dataset={name}"])
    data = load_dataset(cfg)
    assert scan(data, Split(seed=seed)(data)) == ([], [])


@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits])
def test_other_known_data_have_no_leak(load):
    x, y = load(return_X_y=True)
    data = records(pd.DataFrame(x).add_prefix("c"), y, "multiclass", names=[str(k) for k in np.unique(y)])
    assert found(data, Split()(data)) == []


@pytest.mark.skipif(not SHARED.exists(), reason="the data sets that are not bundled are not there")
def test_pneumonia_mnist_has_the_same_images_in_two_splits():
    folder = SHARED / "medmnist"
    data = load_dataset(compose(["experiment=", "dataset=pneumonia_mnist", f"dataset.root={folder}"]))
    rows = Split()(data)
    seen = {data.image(row).x.tobytes() for row in rows["train"]}
    again = sum(data.image(row).x.tobytes() in seen for row in rows["val"])
    assert found(data, rows) == [f"{again} validation images are identical to training images"]


@pytest.mark.skipif(not SHARED.exists(), reason="the data sets that are not bundled are not there")
def test_hippocampus_has_no_leak():
    cfg = compose(["experiment=", "dataset=hippocampus", f"dataset.root={SHARED / 'msd_hippocampus'}"])
    data = load_dataset(cfg)
    assert found(data, Split()(data)) == []


# Once, before a training


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not scanned yet, and how often it does."""
    scans = []
    monkeypatch.setattr(leaks, "_SCANS", {})
    monkeypatch.setattr(leaks, "scan", lambda *args: scans.append(1) or scan(*args))
    return scans


@pytest.fixture
def leaky(tmp_path):
    """The overrides for a table with a leak of each kind."""
    x = table().assign(
        chart=np.arange(50_000, 50_300), outcome=coin(300) * 1, patient=[f"Smith {k}" for k in range(300)]
    )
    x["marker"] = x.outcome + 3
    x["fold"] = np.array(["train", "val", "test"])[np.arange(300) % 3]
    x.loc[[2, 5], [f"c{k}" for k in range(6)]] = x.loc[[0, 3], [f"c{k}" for k in range(6)]].to_numpy()
    x.loc[[2, 5], ["outcome", "marker", "chart"]] = x.loc[[0, 3], ["outcome", "marker", "chart"]].to_numpy()
    x.to_csv(tmp_path / "leaky.csv", index=False)
    return ["dataset=table", f"dataset.path={tmp_path / 'leaky.csv'}", "dataset.target=outcome", "dataset.patient=patient",
            "dataset.split=fold"]  # fmt: skip


FINDINGS = [
    "2 test rows are identical to training rows",
    "column 'chart' looks like an identifier: 298 different values in 300 rows, in row order",
    "column 'marker' alone tells the target (AUROC 1.000 on the training rows)",
]


def test_training_warns_of_each_leak_once_in_a_process(compose, leaky, fresh, capsys):
    for seed in range(3):
        parts = prepare(compose(*leaky, f"seed={seed}"))
    assert list(parts.leaks) == parts.datamodule.proof["leaks"] == FINDINGS
    said = capsys.readouterr().out
    assert [said.count(f"Warning: {line}.") for line in FINDINGS] == [1, 1, 1]
    assert len(fresh) == 1


def test_another_split_is_another_scan(compose, fresh):
    for seed in (0, 1, 0):
        prepare(compose("dataset=heart_disease", f"split.seed={seed}"))
    assert len(fresh) == 2


def test_strict_mode_refuses_what_would_be_warned_of(compose, leaky, fresh):
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            prepare(compose(*leaky, "dataset.strict=true"))
        assert str(caught.value) == f"dataset.strict: {'; '.join(FINDINGS)}"


def test_findings_hold_no_patient_and_no_value(compose, leaky, fresh, capsys):
    prepare(compose(*leaky))
    said = capsys.readouterr().out
    assert "Smith" not in said
    assert not re.search(r"50\d{3}", said)


def test_clean_data_train_in_strict_mode(compose, fresh):
    parts = prepare(compose("dataset=heart_disease", "dataset.strict=true"))
    assert list(parts.leaks) == parts.datamodule.proof["leaks"] == []


@pytest.mark.mostly_slow(fast=4)
@pytest.mark.parametrize("name", sorted(folders.groups()["dataset"]))
def test_every_data_set_can_be_strict(name):
    cfg = _compose([f"dataset={name}", "dataset.strict=true"])
    assert cfg.dataset.strict is True
    assert _compose([f"dataset={name}"]).dataset.strict is False


def test_strict_is_yes_or_no():
    with pytest.raises(UserError, match="^dataset.strict: "):
        compose(["dataset=diabetes", "dataset.strict=sometimes"])


def test_misspelt_strict_is_told():
    with pytest.raises(UserError, match="did you mean 'dataset.strict'"):
        compose(["dataset=diabetes", "dataset.strikt=true"])


def test_strict_mode_reads_the_same_data_once(compose):
    plain, strict = (load_dataset(compose("dataset=diabetes", *more)) for more in ([], ["dataset.strict=true"]))
    assert plain is strict


class OtherKind(Kind):
    samples = "things"
    preprocessing = "none"


def test_data_of_another_kind_are_not_compared_and_the_proof_says_so(fresh, capsys):
    class Other:
        kind, y, task, groups = OtherKind(), np.zeros((9, 0)), "generation", np.arange(9)
        facts = pd.DataFrame(index=range(9))

        def __len__(self):
            return 9

        def fingerprint(self):
            return "other"

    assert check(Other(), thirds(9), "a", strict=True) == ([], ["near-duplicates were not looked for among things"])
    assert "Leak scan: near-duplicates were not looked for among things.\n" in capsys.readouterr().out


def test_what_a_partial_scan_left_out_is_part_of_the_proof(compose, fresh, monkeypatch):
    monkeypatch.setattr(leaks, "scan", lambda *args: leaks.Scan([], ["only 3 of 9 images were compared"]))
    proof = prepare(compose("dataset=diabetes")).datamodule.proof
    assert (proof["leaks"], proof["leak_scan"]) == ([], {"not_looked_at": ["only 3 of 9 images were compared"]})


def test_a_whole_scan_leaves_nothing_out(compose, fresh):
    assert prepare(compose("dataset=diabetes")).datamodule.proof["leak_scan"] == {"not_looked_at": []}
