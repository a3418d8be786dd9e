"""What the leak scan says in training, in strict mode, and in the proof of a split."""

import re

import numpy as np
import pandas as pd
import pytest

from leaking_tables import coin, table, thirds
from medfit.config import folders
from medfit.config.compose import _compose, compose
from medfit.config.instantiate import load_dataset
from medfit.data import leaks
from medfit.data.kind import Kind
from medfit.data.leaks import check, scan
from medfit.errors import UserError
from medfit.training.parts import prepare


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
