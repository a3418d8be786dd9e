"""Which patients taught a training: keyed hashes, by which another training can tell whether it is to test one of them.

The key is the output folder's own, as of :func:`medfit.tracking.recording.pseudonyms`: elsewhere they are of no use.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medfit.tracking.recording import key_of

FILE = "data/patients.json"  # the artifact of each training
NAMED = "names"  # where patients are named, in whatever data; else a data set's rows are told by its own numbers


@dataclass(frozen=True)
class Taught:
    """The patients who taught a training, those who chose its epoch among them, and who taught what it started from.

    Args:
        key: Tells which folder's key the hashes are made with.
        scopes: By what patients are told apart (:data:`NAMED`, or the fingerprint of a data set): their hashes.
        all_known: Whether that is all of them; not where a training starts from a file.
    """

    key: str
    scopes: Mapping[str, Sequence[str]]
    all_known: bool

    @classmethod
    def of_file(cls, held: Mapping[str, Any]) -> "Taught":
        """Returns what a run's file says."""
        return cls(held["key"], held["scopes"], held["all_known"])

    def to_file(self) -> dict[str, Any]:
        """Returns plain values."""
        scopes = {scope: sorted(set(hashes)) for scope, hashes in self.scopes.items()}
        return {"key": self.key, "scopes": scopes, "all_known": self.all_known}


def taught(folder: Path, fingerprint: str, groups: np.ndarray, before: Taught | None, all_known: bool) -> Taught:
    """Returns who taught a training.

    Args:
        folder: The output folder.
        fingerprint: Of the data set.
        groups: The patients of the samples that the training learnt from or was chosen by.
        before: Who taught the weights that it starts from.
        all_known: Whether that is known of all of them.
    """
    scope, hashes = _hashes(folder, fingerprint, groups)
    key = _key_id(folder)
    usable = before is None or before.key == key
    scopes = dict(before.scopes) if before is not None and usable else {}
    scopes[scope] = [*scopes.get(scope, ()), *hashes]
    return Taught(key, scopes, all_known and usable and (before is None or before.all_known))


def among(folder: Path, then: Taught, fingerprint: str, groups: np.ndarray) -> tuple[int, bool]:
    """Returns how many of some patients taught a training, and whether that can be known of all of them.

    Args:
        folder: The output folder.
        then: Who taught it.
        fingerprint: Of the data set that the patients are in.
        groups: The patients of its samples.
    """
    if then.key != _key_id(folder):
        return 0, False
    scope, hashes = _hashes(folder, fingerprint, groups)
    return len(set(hashes) & set(then.scopes.get(scope, ()))), then.all_known and set(then.scopes) == {scope}


def _hashes(folder: Path, fingerprint: str, groups: np.ndarray) -> tuple[str, list[str]]:
    """Returns by what patients are told apart, and a keyed hash of each one."""
    patients = np.unique(groups)
    scope = fingerprint if np.issubdtype(patients.dtype, np.integer) else NAMED  # numbers count a data set's own rows
    key = key_of(folder)
    told = (f"patient {scope}/{str(patient).strip()}" for patient in patients.tolist())
    return scope, [hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16] for text in told]


def _key_id(folder: Path) -> str:
    return hmac.new(key_of(folder), b"which key", hashlib.sha256).hexdigest()[:16]
