"""What the values of a mask mean: numbers of classes, a mark on a dark ground, or labels by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from medfit.data.readers.raw_images import RawImage
from medfit.errors import UserError

GREY_SCALE = 128  # a mask whose largest value is no smaller is in shades of grey
LEAST_SHADES = 8  # that an edge leaves when it is smoothed; fewer values are labels
MOST_BETWEEN = 0.5  # pixels between dark and bright, as a share of the bright ones: else the values are labels
LEAST_OF_SHADE = 0.1  # of the largest value
Numbers = Callable[[Path, RawImage], np.ndarray]  # gives uint8 (*size)
_LOSSY = (".jpg", ".jpeg", ".webp")


def indexed(path: Path, raw: RawImage) -> np.ndarray:
    """Returns a mask whose values are class numbers.

    Raises:
        UserError: a JPEG or WebP file, colours, values that are no class numbers.
    """
    values = _values(path, raw)
    if (largest := values.max()) > 255:
        raise UserError(
            f"{path.name}: its mask holds {largest}; class numbers go up to 255 (dataset.label_values names others)"
        )
    return values.astype(np.uint8)


class Labels:
    """The class of each value that a mask may hold.

    Args:
        classes: Class numbers by value; 0 is the background, if nothing else is said.
    """

    def __init__(self, classes: Mapping[int, int]) -> None:
        self.classes = {0: 0, **classes}

    def __call__(self, path: Path, raw: RawImage) -> np.ndarray:
        """Returns class numbers.

        Raises:
            UserError: as :func:`indexed`, or a value that nothing is said of.
        """
        found, places = np.unique(_values(path, raw), return_inverse=True)
        if unknown := [int(value) for value in found if int(value) not in self.classes]:
            raise UserError(f"{path.name}: its mask holds {unknown[0]}, which dataset.label_values does not name")
        made = np.array([self.classes[int(value)] for value in found], dtype=np.uint8)
        return made[places].reshape(raw.x.shape[1:])


class Binary:
    """Masks that mark one class: any value above 0 if all are small, the bright part if they are in shades of grey.

    What marks the class has to be the same in all masks that one object reads: where some are marked with 1 and
    others with 255, 255 may be what is not to be judged.
    """

    def __init__(self) -> None:
        self._marks: dict[bool, tuple[int, str]] = {}  # by whether it is bright: the value, and the first file

    def __call__(self, path: Path, raw: RawImage) -> np.ndarray:
        """Returns 1 where the class is.

        Raises:
            UserError: as :func:`indexed` but for JPEG and WebP, or values of which nobody can tell what they mark.
        """
        if path.suffix.lower() in _LOSSY:
            return (raw.x[0] >= GREY_SCALE).astype(np.uint8)
        values = _values(path, raw)
        if largest := int(values.max()):
            self._check_alike(path.name, largest)
        if largest < GREY_SCALE:
            return (values > 0).astype(np.uint8)
        _check_shades(path.name, values)
        return (values >= largest / 2).astype(np.uint8)

    def _check_alike(self, name: str, largest: int) -> None:
        bright = largest >= GREY_SCALE
        self._marks.setdefault(bright, (largest, name))
        if (not bright) in self._marks:
            other, first = self._marks[not bright]
            raise UserError(
                f"{name}: is marked up to {largest}, but {first} up to {other}; say what each value means, as "
                "dataset.layout=indexed 'dataset.label_values={1: lesion, 255: background}'"
            )


def _check_shades(name: str, values: np.ndarray) -> None:
    """Refuses a mask of several labels by the look of a bright one, as 0, 1 and 255."""
    found = np.unique(values)
    if len(found) == 1 or (len(found) == 2 and found[0] == 0):
        return
    half = found[-1] / 2
    between = np.count_nonzero((values > LEAST_OF_SHADE * found[-1]) & (values < (1 - LEAST_OF_SHADE) * found[-1]))
    if len(found) < LEAST_SHADES or between > MOST_BETWEEN * np.count_nonzero(values >= half):
        shown = ", ".join(f"{value:g}" for value in found[: LEAST_SHADES - 1])
        raise UserError(
            f"{name}: a binary mask marks one value, but it holds {shown}{' and more' if len(found) > 7 else ''}; say "
            "what each means, as dataset.layout=indexed 'dataset.label_values={1: lesion, 255: background}'"
        )


def united(made: Sequence[np.ndarray], files: Sequence[Path]) -> np.ndarray:
    """Returns several masks of one image as one: what any of them marks, as instances in files of their own.

    Raises:
        UserError: masks of several sizes, or of which two give a pixel different classes.
    """
    whole = made[0]
    for mask, path in zip(made[1:], files[1:], strict=True):
        if mask.shape != whole.shape:
            raise UserError(f"{path.name}: differs in size from another mask of its image")
        if ((mask > 0) & (whole > 0) & (mask != whole)).any():
            raise UserError(f"{path.name}: gives pixels another class than another mask of its image does")
        whole = np.maximum(whole, mask)
    return whole


def _values(path: Path, raw: RawImage) -> np.ndarray:
    """Returns whole numbers from 0, one a pixel."""
    values = raw.x[0]
    if path.suffix.lower() in _LOSSY:
        raise UserError(
            f"{path.name}: JPEG and WebP change a mask's numbers; save it as PNG (or dataset.layout=binary)"
        )
    if not all(np.array_equal(values, channel) for channel in raw.x[1:]):
        raise UserError(f"{path.name}: a mask needs one number a pixel, not colours; save it in grey or with a palette")
    if wrong := values[(values < 0) | (values % 1 != 0)].ravel()[:1].tolist():
        raise UserError(f"{path.name}: its mask holds {wrong[0]:.4g}, which is no class number")
    return values
