"""Reading all images of a data set once: what each has to be, and which can't be read."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np

from medfit.data.datasets.faults import Faults
from medfit.data.image import RESIDENT_SHARE, Image
from medfit.errors import UserError
from medfit.terminal.console import say

Reader = Callable[[], Image]
Form = tuple[int, int]  # number of channels and of axes, the channels' among them


@dataclass(frozen=True)
class Wanted:
    """What images of a data set have to be.

    Args:
        task: ``segmentation`` where they have masks.
        num_classes: Of the masks, the background among them.
        empty_masks: Whether a mask of nothing but background is taken (``keep``) or is a mistake (``refuse``).
        num_channels: None for as many as the other images have.
    """

    task: str
    num_classes: int
    empty_masks: Literal["refuse", "keep"]
    num_channels: int | None

    def check(self, name: str, image: Image) -> bool:
        """Returns whether an image is good for something: all are, but for those of which nothing is marked.

        Raises:
            UserError: values that are no finite numbers, or a mask that does not fit.
        """
        if image.x.dtype.kind == "f" and not np.isfinite(image.x).all():
            raise UserError(f"{name}: holds values that are no finite numbers")
        return self.task != "segmentation" or self._check_mask(name, image)

    def _check_mask(self, name: str, image: Image) -> bool:
        """Returns whether anything is marked."""
        mask, size = image.mask, image.x.shape[1:]
        if mask is None or mask.shape != size:
            its = "none" if mask is None else _size(mask.shape)
            raise UserError(f"{name}: the image has {_size(size)} pixels, its mask {its}")
        if (largest := int(mask.max(initial=0))) >= (known := self.num_classes):
            hint = "; black and white masks take dataset.layout=binary" if (largest, known) == (255, 2) else ""
            raise UserError(f"{name}: its mask holds the number {largest}; the classes have 0 to {known - 1}{hint}")
        if not largest and self.empty_masks == "refuse":
            raise UserError(
                f"{name}: its mask is empty; dataset.empty_masks=keep takes it as an image without findings"
            )
        return bool(largest)


@dataclass
class Checked:
    """What came of reading all images.

    Attributes:
        shapes: Of each image that can be read, by its row.
        resident: The images that stay in memory, by row.
        marked: Rows of images that are good for something.
        byte_rows: Rows of images whose values are of 8 bits.
    """

    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    resident: dict[int, Image] = field(default_factory=dict)
    marked: set[int] = field(default_factory=set)
    byte_rows: set[int] = field(default_factory=set)

    def forms(self, count: int | None = None) -> list[Form]:
        """Returns the form of each image that can be read, or of the first ones."""
        return [(shape[0], len(shape)) for shape in islice(self.shapes.values(), count)]


def read_all(names: Sequence[str], readers: Sequence[Reader], wanted: Wanted, faults: Faults) -> tuple[Checked, Form]:
    """Reads all images, that a bad one is found before anything is trained, and keeps them while there is memory.

    Args:
        names: Of the files, below the data set's folder; those that have a fault already are not read.
        readers: Of each file.
        wanted: Of each image.
        faults: Of single files, to which those are added that are found here.

    Returns:
        What came of it, and the one form of all images: that of the first, or of most where bad ones are skipped.

    Raises:
        UserError: an image that is not as it has to be and is not to be skipped, no image at all, or no mask that
            marks anything.
    """
    import psutil  # late: a quick start

    room = RESIDENT_SHARE * psutil.virtual_memory().available
    found = Checked()
    for row, (name, read) in enumerate(zip(names, readers, strict=True)):
        if name in faults.reasons:
            continue
        with faults.of(name):
            image = read()
            if faults.on_error == "stop":
                _check_form(name, image.x.shape, _usual([*found.forms(1), (len(image.x), image.x.ndim)], wanted))
            if wanted.check(name, image):
                found.marked.add(row)
            if image.x.dtype == np.uint8:
                found.byte_rows.add(row)
            found.shapes[row] = image.x.shape
            room -= image.num_bytes
            if room > 0:
                found.resident[row] = image
    form = _usual(found.forms(), wanted)
    for row, shape in found.shapes.items():
        with faults.of(names[row]):
            _check_form(names[row], shape, form)
    found.shapes = {row: shape for row, shape in found.shapes.items() if names[row] not in faults.reasons}
    _check_any(found, faults)
    _tell_of_bits(found)
    return found, form


def _usual(forms: Sequence[Form], wanted: Wanted) -> Form:
    """Returns the commonest form that fits, of equal ones the first."""
    fits = [form for form in forms if wanted.num_channels in (None, form[0])]
    (num_channels, num_axes), _ = Counter(fits or forms or [(0, 0)]).most_common(1)[0]
    return wanted.num_channels or num_channels, num_axes


def _check_form(name: str, shape: Sequence[int], form: Form) -> None:
    if (shape[0], len(shape)) != form or len(shape) not in (3, 4) or 0 in shape:
        mixed = {(shape[0], len(shape)), form} == {(1, 3), (3, 3)}
        hint = "; dataset.channels=[grey] turns colours grey" if mixed else ""
        raise UserError(
            f"{name}: {shape[0]} channels of {_size(shape[1:])} pixels do not fit the other images, of {form[0]} "
            f"channels in {form[1] - 1} dimensions{hint}"
        )


def _check_any(found: Checked, faults: Faults) -> None:
    if not found.shapes:
        raise UserError(f"dataset: none of the images can be read ({next(iter(faults.reasons.values()), '')})")
    if not found.marked & found.shapes.keys():
        raise UserError("dataset: every mask is empty; there is nothing to learn")


def _tell_of_bits(found: Checked) -> None:
    """Says where values of 8 bits and others are mixed, as one scaling does not fit both."""
    count, total = len(found.byte_rows & found.shapes.keys()), len(found.shapes)
    if 0 < count < total:
        say(
            f"Warning: {count} of {total} images have values of 8 bits, the others larger ones: "
            "preprocessing.scaling=unit takes the former by 255 and the latter by their own range; bring them to one"
        )


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
