"""Waveforms in DICOM files, as ECG devices store them."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.readers.headers import Header, distinct, unreadable
from medfit.errors import UserError

SCHEMES = {"SCPECG": "5.6.3-9-", "MDC": "2:"}  # of leads' codes, each with what stands before the lead's number
LEADS = {"1": "I", "2": "II", "61": "III", "62": "aVR", "63": "aVL", "64": "aVF"} | {
    str(number + 2): f"V{number}" for number in range(1, 7)
}
NOT_READ = "there are further groups of waveforms, which are not read: the longest original one is"


def read_header(file: Path, name: str) -> Header:
    """Returns what a file says of the waveforms that are read: the longest original group, the first of several.

    Args:
        file: In DICOM.
        name: Of it, for messages.

    Raises:
        UserError: it can't be read, or holds no waveforms.
    """
    with _opened(file, name) as (head, number):
        group = head.WaveformSequence[number]
        channels = list(group.ChannelDefinitionSequence)
        if len(channels) != group.NumberOfWaveformChannels:
            raise ValueError(f"it describes {len(channels)} of its {group.NumberOfWaveformChannels} channels")
        return Header(
            file,
            name,
            distinct([_lead(channel) for channel in channels]),
            [float(group.SamplingFrequency)] * len(channels),
            [_unit(channel) for channel in channels],
            patient=str(head.get("PatientID") or "").strip(),
            notes=[NOT_READ] if len(head.WaveformSequence) > 1 else [],
            files=[file],
        )


def read_waveforms(file: Path, name: str, channels: Sequence[int]) -> list[np.ndarray]:
    """Returns some channels' signals in their units, as float32; NaN where a value is missing.

    Args:
        file: As :func:`read_header` takes it, as with ``name``.
        name: Of it.
        channels: Numbers of those meant.
    """
    from pydicom.waveforms import multiplex_array  # late: a quick start

    with _opened(file, name) as (head, number):
        group = head.WaveformSequence[number]
        raw = multiplex_array(head, number, as_raw=True)
        gaps = np.zeros(raw.shape, dtype=bool)
        if padding := group.get("WaveformPaddingValue"):
            gaps = raw == np.frombuffer(padding[: raw.itemsize], dtype=raw.dtype)
        signals = []
        for channel in channels:
            told = group.ChannelDefinitionSequence[channel]
            step, correction = (float(told.get(f"ChannelSensitivity{end}") or 1) for end in ("", "CorrectionFactor"))
            values = raw[:, channel] * step * correction + float(told.get("ChannelBaseline") or 0)
            signals.append(np.where(gaps[:, channel], np.nan, values).astype(np.float32))
    return signals


@contextmanager
def _opened(file: Path, name: str) -> Iterator[tuple[Any, int]]:
    """Gives a file's data set and the number of the group of waveforms to read, and tells of errors as the file's."""
    import pydicom  # late: a quick start

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that are not of the standard
        try:
            head = pydicom.dcmread(file)
            if not head.get("WaveformSequence"):
                kind = head.SOPClassUID.name if "SOPClassUID" in head else "DICOM file"
                raise UserError(f"dataset: '{name}' is a {kind}, which holds no waveforms")
            if not head.file_meta.TransferSyntaxUID.is_little_endian:
                raise ValueError("its bytes are in the old, big-endian order")
            yield head, _longest(head.WaveformSequence)
        except UserError:
            raise
        except Exception as error:  # it has many kinds
            raise unreadable(file, name, error) from error


def _longest(groups: Sequence[Any]) -> int:
    originals = [n for n, group in enumerate(groups) if group.get("WaveformOriginality", "ORIGINAL") == "ORIGINAL"]
    lasts_s = [group.NumberOfWaveformSamples / float(group.SamplingFrequency) for group in groups]
    return max(originals or range(len(groups)), key=lambda number: lasts_s[number])


def _lead(channel: Any) -> str:
    """Returns a channel's name: a lead's by its code, whatever words stand beside it, else the code's words."""
    for source in channel.get("ChannelSourceSequence") or ():
        code, before = str(source.get("CodeValue") or ""), SCHEMES.get(str(source.get("CodingSchemeDesignator")))
        if before and code.startswith(before) and (lead := LEADS.get(code.removeprefix(before))):
            return lead
        if meaning := str(source.get("CodeMeaning") or "").strip():
            return meaning
    return str(channel.get("ChannelLabel") or "")


def _unit(channel: Any) -> str:
    units = channel.get("ChannelSensitivityUnitsSequence") or ()
    return str(units[0].get("CodeValue") or "").strip() if units and channel.get("ChannelSensitivity") else ""
