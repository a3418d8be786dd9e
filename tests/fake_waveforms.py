"""Made-up DICOM waveforms in the layout of ECG devices' exports."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, TwelveLeadECGWaveformStorage, generate_uid

SCPECG = {"I": "5.6.3-9-1", "II": "5.6.3-9-2", "V1": "5.6.3-9-3", "aVR": "5.6.3-9-62"}
MEANING = {"I": "Lead I (Einthoven)", "II": "Lead II", "V1": "Lead V1", "aVR": "aVR, augmented voltage, right"}


def item(**values):
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def code(value, scheme, meaning):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def channel(name, step=1.25, unit="uV", baseline=0.0, correction=1.0, source=None):
    """A channel's definition; a step of None leaves the values without a unit."""
    made = item(
        ChannelSourceSequence=[source or code(SCPECG[name], "SCPECG", MEANING[name])],
        ChannelSampleSkew="0", WaveformBitsStored=16,
    )  # fmt: skip
    if step is not None:
        made.ChannelSensitivity, made.ChannelSensitivityCorrectionFactor = str(step), str(correction)
        made.ChannelBaseline, made.ChannelSensitivityUnitsSequence = str(baseline), [code(unit, "UCUM", unit)]
    return made


def group(values, channels, rate=100, label="RHYTHM", originality="ORIGINAL", padding=None):
    """A multiplex group of int16 values (samples, channels)."""
    values = np.asarray(values, dtype="<i2")
    made = item(
        WaveformOriginality=originality, NumberOfWaveformChannels=values.shape[1], MultiplexGroupLabel=label,
        NumberOfWaveformSamples=values.shape[0], SamplingFrequency=str(rate), ChannelDefinitionSequence=channels,
        WaveformBitsAllocated=16, WaveformSampleInterpretation="SS",
    )  # fmt: skip
    made.add_new(0x54001010, "OW", values.tobytes())
    if padding is not None:
        made.add_new(0x5400100A, "OW", np.int16(padding).tobytes())
    return made


def write_waveforms(
    file: Path, groups, patient="p1", kind=TwelveLeadECGWaveformStorage, syntax=ExplicitVRLittleEndian, **more
):
    """Writes a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    made = item(
        SOPClassUID=kind, SOPInstanceUID=generate_uid(), Modality="ECG", PatientID=patient, PatientName="Doe^Jane",
        StudyInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid(), **more,
    )  # fmt: skip
    if groups:
        made.WaveformSequence = groups
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = kind, made.SOPInstanceUID
    made.save_as(file, enforce_file_format=True)
    return file
