"""Whose images are: what DICOM headers say, or the names of files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medfit.data.datasets.faults import Faults
from medfit.data.readers.dicom_files import SUFFIXES, dicom_files, has_image, header
from medfit.errors import UserError
from medfit.terminal.console import say

TAGS = ("PatientID", "StudyInstanceUID")


def patients_of(files: Sequence[Path], patient: str | None, names: Sequence[str], faults: Faults) -> np.ndarray | None:
    """Returns each image's patient; None where each image is one.

    DICOM files say themselves whose they are. What they say is compared with a pattern's answer, and neither shown
    nor kept: patients by header are numbers.

    Args:
        files: Of the images, or folders of a DICOM series each.
        patient: A regular expression whose first group in a file's name is the patient, or one of ``TAGS``; None for
            the ``PatientID`` of DICOM files, and for each other image as a patient.
        names: Of the images, for faults.
        faults: Of single images, to which headers are added that can't be read or do not say whose they are.

    Raises:
        UserError: DICOM files that do not say whose they are, a tag for files that are no DICOM, a pattern that is
            none or has no group, or a name that it does not fit.
    """
    dicom = [is_dicom(file) for file in files]
    if patient in TAGS and not all(dicom):
        raise UserError(f"dataset.patient={patient}: {dicom.count(False)} images are no DICOM files, which have it")
    if patient is None or patient in TAGS:
        return _by_header(_heads(files, dicom, names, faults), dicom, patient or TAGS[0], names, faults)
    groups = _by_pattern([file.name for file in files], patient)
    compare_with_headers(files, groups, names, faults)
    return groups


def is_dicom(file: Path) -> bool:
    """Tells whether an image is a DICOM file, or the folder of a series, by its name."""
    return file.is_dir() or file.suffix.lower() in SUFFIXES


def _by_header(
    heads: Sequence[Mapping[str, str]], dicom: Sequence[bool], tag: str, names: Sequence[str], faults: Faults
) -> np.ndarray | None:
    """Returns each image's patient by a tag of its header, as a number; each image that is no DICOM is a patient.

    Raises:
        UserError: DICOM files without the tag, unless they are to be skipped.
    """
    if not any(dicom):
        return None
    nameless = [name for name, is_so, head in zip(names, dicom, heads, strict=True) if is_so and not head[tag]]
    refuse_nameless([name for name in nameless if name not in faults.reasons], tag, faults)
    if tag == TAGS[0]:
        tell_shared_studies(heads)
    return pd.factorize(np.array([head[tag] or number for number, head in enumerate(heads)], dtype=object))[0]


def refuse_nameless(names: Sequence[str], tag: str, faults: Faults) -> None:
    """Refuses DICOM files that do not say whose they are, or skips each of them."""
    if faults.on_error == "skip":
        faults.reasons |= {name: f"{name}: does not say whose it is ({tag})" for name in names}
    elif names:
        way_out = "; dataset.patient=StudyInstanceUID takes each study as a patient" if tag == TAGS[0] else ""
        raise UserError(f"dataset.patient: {len(names)} files do not say whose they are ({tag}){way_out}")


def tell_shared_studies(heads: Sequence[Mapping[str, str]]) -> None:
    """Says how many studies several patients share: somebody changed names, or wrote one study's number over all."""
    known = pd.DataFrame(heads, columns=list(TAGS))
    known = known[(known != "").all(axis=1)]
    if shared := int((known.groupby(TAGS[1])[TAGS[0]].nunique() > 1).sum()):
        say(
            f"DICOM: {shared} studies (StudyInstanceUID) hold images of several patients (PatientID), who are taken "
            "for different people; if they are one, set dataset.patient=StudyInstanceUID"
        )


def compare_with_headers(files: Sequence[Path], groups: np.ndarray, names: Sequence[str], faults: Faults) -> None:
    """Says how many patients by DICOM header are several patients by another answer, which is the one that counts."""
    dicom = [is_dicom(file) for file in files]
    if not any(dicom):
        return
    known = pd.DataFrame({"owner": [head[TAGS[0]] for head in _heads(files, dicom, names, faults)], "group": groups})
    known = known[known.owner != ""]
    if divided := int((known.groupby("owner").group.nunique() > 1).sum()):
        say(
            f"dataset.patient: takes {divided} patients by their DICOM headers (PatientID) for several each; images "
            "of one may be in training and test"
        )


def tags_of(head: Any) -> dict[str, str]:
    """Returns what a header says of ``TAGS``, nothing where it does not."""
    return {tag: str(head.get(tag) or "").strip() for tag in TAGS}


def _heads(files: Sequence[Path], dicom: Sequence[bool], names: Sequence[str], faults: Faults) -> list[dict[str, str]]:
    """Returns the tags of each image, or of the first of its series, whose reader refuses slices of two patients."""
    found = []
    for file, is_so, name in zip(files, dicom, names, strict=True):
        found.append(tags_of({}))
        with faults.of(name):
            heads = map(header, (dicom_files(file) if file.is_dir() else [file]) if is_so else [])
            found[-1] = tags_of(next((head for head in heads if has_image(head)), {}))
    return found


def _by_pattern(names: Sequence[str], pattern: str) -> np.ndarray:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"dataset.patient: '{pattern}' is no regular expression ({error})") from error
    if not compiled.groups:
        raise UserError(f"dataset.patient: '{pattern}' needs a group in brackets, as in '(.*)_'")
    matches = [compiled.search(name) for name in names]
    missing = [name for name, match in zip(names, matches, strict=True) if match is None or match[1] is None]
    if missing:
        raise UserError(f"dataset.patient: '{pattern}' does not fit {len(missing)} names, the first: {missing[0]}")
    return np.array([match[1] for match in matches if match])
