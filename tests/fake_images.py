"""Writes images in the real layouts of their formats, and judges how they are read."""

import itertools
import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from medfit.data.readers.image_files import read_image
from medfit.errors import UserError

MEDMNIST_SIZES = {"train": 24, "val": 8, "test": 8}
AXES = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]  # fmt: skip
few = settings(max_examples=30, deadline=None)
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


def write_flat(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)
    return path


def write_nifti(path, data, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(data), np.eye(4) if affine is None else affine), path)
    return path


def write_slice(path, pixels, place=(0, 0, 0), series="1.2.3", patient="p", **more):
    """A CT slice; pixels int16 (rows, columns)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.PatientID, data.StudyInstanceUID, data.SeriesInstanceUID = patient, "1.2", series
    data.Modality, data.ImagePositionPatient = "CT", [float(number) for number in place]
    data.ImageOrientationPatient, data.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = int(pixels.dtype == np.int16)
    data.PixelData = pixels.tobytes()
    for key, value in more.items():
        setattr(data, key, value)
        if value is None:
            delattr(data, key)
    data.save_as(path, enforce_file_format=True)
    return path


def write_series(folder, volume, order=None, apart=2.5, **more):
    """Axial slices (k, rows, columns), the file names in another order than the positions."""
    order = range(len(volume)) if order is None else order
    return [
        write_slice(folder / f"{number:03}.dcm", volume[k], place=(0, 0, apart * k), **more)
        for number, k in enumerate(order)
    ]


def sequence(**facts):
    """A sequence of one item."""
    item = Dataset()
    for key, value in facts.items():
        setattr(item, key, value)
    return [item]


def write_frames(
    path, slices, places, directions=(1, 0, 0, 0, 1, 0), spacing=(1, 1), stacks=None, rescale=None, **more
):
    """An enhanced CT: slices int16 (frames, rows, columns), with a place each."""
    stacks, rescale = stacks or [1] * len(slices), rescale or [(1, 0)] * len(slices)
    each = []
    for place, stack, (slope, offset) in zip(places, stacks, rescale, strict=True):
        facts = Dataset()
        facts.PlanePositionSequence = sequence(ImagePositionPatient=[float(number) for number in place])
        facts.FrameContentSequence = sequence(StackID=str(stack))
        facts.PixelValueTransformationSequence = sequence(RescaleSlope=slope, RescaleIntercept=offset)
        each.append(facts)
    of_all = {
        "PixelMeasuresSequence": sequence(PixelSpacing=list(spacing)),
        "PlaneOrientationSequence": sequence(ImageOrientationPatient=[float(number) for number in directions]),
    }
    gone = dict.fromkeys(["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"])
    facts = {"SOPClassUID": EnhancedCTImageStorage, "NumberOfFrames": len(slices), "RescaleIntercept": None}
    facts |= {"SharedFunctionalGroupsSequence": sequence(**of_all), "PerFrameFunctionalGroupsSequence": each}
    facts |= {"PixelData": np.asarray(slices).tobytes()}
    return write_slice(path, slices[0], **(gone | facts | more))


def write_seg(path, frames, segments, directions=(1, 0, 0, 0, 1, 0), spacing=(1, 1), **more):
    """A DICOM SEG: frames of (segment number, place, bool (rows, columns)), segments of number and label."""
    each = []
    for number, place, _ in frames:
        facts = Dataset()
        facts.PlanePositionSequence = sequence(ImagePositionPatient=[float(value) for value in place])
        facts.SegmentIdentificationSequence = sequence(ReferencedSegmentNumber=number)
        each.append(facts)
    of_all = {
        "PixelMeasuresSequence": sequence(PixelSpacing=list(spacing)),
        "PlaneOrientationSequence": sequence(ImageOrientationPatient=[float(number) for number in directions]),
    }
    bits = np.stack([marks for _, _, marks in frames]).astype(np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    named = [sequence(SegmentNumber=number, SegmentLabel=label)[0] for number, label in segments.items()]
    facts = {"SOPClassUID": SegmentationStorage, "Modality": "SEG", "SegmentationType": "BINARY"}
    facts |= {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
    facts |= {"NumberOfFrames": len(frames), "SegmentSequence": named, "PerFrameFunctionalGroupsSequence": each}
    facts |= {"SharedFunctionalGroupsSequence": sequence(**of_all), "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    facts |= {"PixelData": packed + b"\0" * (len(packed) % 2), "series": "1.9"}
    return write_slice(path, bits[0], **(facts | more))


def write_contours(path, rois, patient="p", kind="CLOSED_PLANAR", frame=None):
    """An RTSTRUCT: contours (points, 3) in DICOM's mm by the name of a structure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = RTStructureSetStorage, generate_uid()
    data.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.PatientID, data.Modality, data.SeriesInstanceUID = patient, "RTSTRUCT", "1.8"
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), 1):
        roi = sequence(ROINumber=number, ROIName=name)[0]
        if frame:
            roi.ReferencedFrameOfReferenceUID = frame
        data.StructureSetROISequence.append(roi)
        items = [
            sequence(
                ContourGeometricType=kind,
                NumberOfContourPoints=len(points),
                ContourData=[f"{value:.6g}" for value in np.ravel(points)],
            )[0]
            for points in contours
        ]
        data.ROIContourSequence.append(sequence(ReferencedROINumber=number, ContourSequence=items)[0])
    data.save_as(path, enforce_file_format=True)
    return path


def write_medmnist(path, shape=(28, 28), num_classes=2, width=1, **replaced):
    rng = np.random.default_rng(0)
    parts = {}
    for split, size in MEDMNIST_SIZES.items():
        parts[f"{split}_images"] = rng.integers(0, 256, (size, *shape), dtype=np.uint8)
        parts[f"{split}_labels"] = (np.arange(size * width) % num_classes).reshape(size, width).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(parts | replaced))
    return path


def write_decathlon(root, num_cases=12, shape=(20, 24, 18), num_classes=3, listed=True):
    """Volumes with bright boxes to segment, as a task of the Medical Segmentation Decathlon."""
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(1, num_cases + 1):
        name = f"case_{number:03}.nii.gz"
        mask = np.zeros(shape, dtype=np.uint8)
        for c in range(1, num_classes):
            mask[4 * c : 4 * c + 4, 4:12, 4:12] = c
        write_nifti(root / "imagesTr" / name, (100.0 * mask + rng.normal(0, 10, shape)).astype(np.float32))
        write_nifti(root / "labelsTr" / name, mask)
        pairs.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    (root / "imagesTr" / "._case_001.nii.gz").write_bytes(b"left by a Mac")
    if listed:
        about = {"name": "Fake", "modality": {"0": "CT"}, "numTraining": num_cases, "training": pairs, "test": []}
        about["labels"] = {str(c): name for c, name in enumerate(["background", "liver", "tumour"][:num_classes])}
        (root / "dataset.json").write_text(json.dumps(about))
    return root


def refused(path, read=read_image, **more):
    with pytest.raises(UserError) as caught:
        read(path, **more)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert path.name in message
    assert str(path.parent) not in message
    return message


def by_place(values, places):
    """Puts values on the grid that their positions span, each axis ascending."""
    grids = [np.unique(np.round(places[..., axis], 3)) for axis in range(3)]
    volume = np.zeros([len(grid) for grid in grids], dtype=values.dtype)
    index = [np.searchsorted(grid, np.round(places[..., axis], 3)) for axis, grid in enumerate(grids)]
    volume[tuple(index)] = values
    return volume
