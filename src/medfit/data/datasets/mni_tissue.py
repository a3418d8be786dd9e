"""Grey and white matter of the MNI ICBM152 brain, slice by slice."""

import functools
from typing import Annotated

import numpy as np
from pydantic import Field

from medfit.data.datasets.images import Images
from medfit.data.image import Image
from medfit.errors import UserError
from medfit.terminal.console import say

CLASSES = ["background", "grey matter", "white matter"]
LEAST_TISSUE = 0.05  # share of a slice's pixels


class MNITissue(Images):
    """Axial slices of the T1 template, from the neck to the crown, with masks of grey and white matter.

    The template is **one** brain: the average of 152 healthy young adults. Slabs of neighbouring slices stand for
    patients, so that no slice has its neighbour in another split but at the slabs' edges; all are of the same brain
    none the less, and results show that a segmentation runs, not that it generalises.

    A pixel is tissue where grey and white matter together have a probability of at least one half, and then of the
    kind that has the larger one (grey, where they are equal); all else, also cerebrospinal fluid, is background.
    Slices with less than 5 % of tissue are left out. Images are float32 between 0 and 1, in the shape (1, rows,
    columns): rows from the front of the head to the back, columns from its left to its right.

    Source: MNI ICBM152 2009a (Fonov et al., NeuroImage 2011; © 1993-2009 Louis Collins, McConnell Brain Imaging
    Centre, McGill University; free to use, copy, change and pass on with this notice), which nilearn brings with it.

    Args:
        resolution_mm: Of a pixel, and the distance of slices.
        slab_slices: Neighbouring slices that are never divided.
        masks: Whether the slices have masks, for segmentation; without, they are for generation.

    Raises:
        UserError: slabs so thick that there are fewer than three.
    """

    def __init__(
        self,
        resolution_mm: Annotated[int, Field(ge=1, le=10)] = 2,
        slab_slices: Annotated[int, Field(ge=1)] = 5,
        masks: bool = True,
    ) -> None:
        t1, tissue = _maps(resolution_mm)
        kept = np.flatnonzero((tissue > 0).mean(axis=(1, 2)) >= LEAST_TISSUE)
        slabs = np.arange(len(kept)) // slab_slices
        if slabs[-1] < 2:
            raise UserError(f"dataset.slab_slices={slab_slices}: {len(kept)} slices give fewer than three slabs")
        spacing_mm = (float(resolution_mm),) * 2
        slices = [Image(t1[None, z], tissue[z] if masks else None, spacing_mm) for z in kept]
        super().__init__(
            name="mni_tissue" if masks else "mni_slices",
            names=[f"slice {z}" for z in kept],
            readers=[functools.partial(_given, image) for image in slices],
            channels=["t1"],
            task="segmentation" if masks else "generation",
            target_names=CLASSES if masks else [],
            groups=slabs,
            source="MNI ICBM152 2009a template (Fonov et al. 2011), from nilearn",
        )
        say(f"{self.name}: {len(kept)} slices of {resolution_mm} mm in {slabs[-1] + 1} slabs, all of one mean brain")


def _maps(resolution_mm: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns T1 as float32 and the classes as uint8, both in the shape (slices, rows, columns)."""
    # late: a quick start
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    t1, grey, white = (
        load(resolution=resolution_mm).get_fdata(dtype=np.float32).clip(0, 1)  # resampling overshoots a little
        for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    tissue = np.where(grey >= white, 1, 2).astype(np.uint8)
    return _slices(t1), _slices(np.where(grey + white >= 0.5, tissue, np.uint8(0)))


def _slices(volume: np.ndarray) -> np.ndarray:
    """Returns (right, anterior, superior) as axial slices with the front on top."""
    return np.ascontiguousarray(volume[:, ::-1].transpose(2, 1, 0))


def _given(image: Image) -> Image:
    return image
