"""PNG, JPEG, BMP, GIF, WebP and TIFF files."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from medfit.data.readers.raw_images import whole
from medfit.errors import UserError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".gif": "GIF", ".webp": "WEBP"}
TIFF_SUFFIXES = (".tif", ".tiff")
ORIENTATION = 0x0112  # EXIF's tag
_SILENT = logging.NullHandler()  # else what tifffile thinks of a damaged file comes beside the error


def read_flat(path: Path, numbers: bool = False) -> np.ndarray:
    """Returns a flat image in the shape (channels, rows, columns), upright; transparency is left out.

    Args:
        path: Its ending says the format.
        numbers: Whether the values are class numbers, so that those of a palette or of few bits stay as they are.

    Raises:
        UserError: the file is damaged or not of its format, or holds several images.
    """
    kind = FORMATS.get(path.suffix.lower(), "TIFF")
    with whole(path, kind):
        pixels = _read_tiff(path, numbers) if kind == "TIFF" else _read_with_pillow(path, kind, numbers)
    if pixels.dtype.kind not in "iuf" or 0 in pixels.shape:
        raise UserError(f"{path.name}: holds {pixels.dtype} values of the shape {pixels.shape}, no plain image")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    num_colours = pixels.shape[2] - (pixels.shape[2] in (2, 4) and kind != "TIFF")
    return np.ascontiguousarray(np.moveaxis(pixels[..., :num_colours], -1, 0))


def turned_by_tag(path: Path) -> int:
    """Returns how an EXIF tag turns an image for whoever looks at it: 1 for not at all, from 5 on by a right angle."""
    if path.suffix.lower() in TIFF_SUFFIXES:
        import tifffile  # late: a quick start

        with whole(path, "TIFF"), tifffile.TiffFile(path) as file:
            return int(file.pages.first.tags.valueof(ORIENTATION, 1))
    if (kind := FORMATS.get(path.suffix.lower())) is None:
        return 1
    from PIL import Image  # late: a quick start

    with whole(path, kind), Image.open(path, formats=[kind]) as image:
        return int(image.getexif().get(ORIENTATION) or 1)


def _read_with_pillow(path: Path, kind: str, numbers: bool) -> np.ndarray:
    from PIL import Image, ImageOps  # late: a quick start

    bits, colour_type = _png_header(path) if kind == "PNG" else (8, 0)
    if bits == 16 and colour_type in (2, 4, 6):  # Pillow would cut colours to 8 bits
        from imagecodecs import png_decode  # late: a quick start

        return png_decode(path.read_bytes())
    with Image.open(path, formats=[kind]) as image:
        if kind in ("GIF", "WEBP", "PNG") and getattr(image, "n_frames", 1) > 1:
            raise UserError(f"{path.name}: holds several images; one was expected")
        image.load()
        pixels = _pixels(ImageOps.exif_transpose(image), numbers)
    few_bits = numbers and bits in (2, 4) and colour_type == 0
    return pixels // (255 // (2**bits - 1)) if few_bits else pixels  # Pillow stretches them to 0 to 255


def _pixels(image: Any, numbers: bool) -> np.ndarray:
    if numbers and image.mode in ("1", "P"):
        return np.asarray(image).astype(np.uint8)
    plain = {"1": "L", "P": "RGB", "PA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
    pixels = np.asarray(image.convert(plain[image.mode]) if image.mode in plain else image)
    return pixels.astype(np.uint16) if pixels.dtype == np.int32 else pixels  # 16 bits, by an older Pillow


def _png_header(path: Path) -> tuple[int, int]:
    """Returns a PNG file's bits a value and its type of colour."""
    with path.open("rb") as file:
        start = file.read(26)
    return (start[24], start[25]) if len(start) == 26 else (8, 0)


def _read_tiff(path: Path, numbers: bool) -> np.ndarray:
    """Returns (rows, columns) or (rows, columns, channels)."""
    import tifffile  # late: a quick start

    logging.getLogger("tifffile").addHandler(_SILENT)
    with tifffile.TiffFile(path) as file:
        if len(file.series) != 1 or not set(file.series[0].axes) <= set("YXSC"):
            raise UserError(
                f"{path.name}: holds several images or a stack of them; one was expected: save a volume as NIfTI, "
                "else each image as a file"
            )
        pixels, axes, page = file.series[0].asarray(), file.series[0].axes, file.series[0].keyframe
        for part in file.series[0].pages:  # tifffile fills some missing ends with zeros
            ends = map(sum, zip(part.dataoffsets, part.databytecounts, strict=True)) if part else ()
            if max(ends, default=0) > path.stat().st_size:
                raise ValueError("its end is missing")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * (1 if numbers else 255)
    how = page.tags.valueof(ORIENTATION, 1)
    return _upright(_colours(_channels_last(pixels, axes), page, numbers), int(how))


def _upright(pixels: np.ndarray, how: int) -> np.ndarray:
    """Returns (rows, columns, ...) turned as the tag says, from 5 on by a right angle."""
    pixels = pixels.swapaxes(0, 1) if how >= 5 else pixels
    pixels = pixels[::-1] if how in (3, 4, 7, 8) else pixels
    return pixels[:, ::-1] if how in (2, 3, 6, 7) else pixels


def as_stored(pixels: np.ndarray, how: int) -> np.ndarray:
    """Returns upright pixels (rows, columns) turned back, so that the tag turns them as :func:`read_flat` does."""
    pixels = pixels[:, ::-1] if how in (2, 3, 6, 7) else pixels
    pixels = pixels[::-1] if how in (3, 4, 7, 8) else pixels
    return np.ascontiguousarray(pixels.swapaxes(0, 1) if how >= 5 else pixels)


def _channels_last(pixels: np.ndarray, axes: str) -> np.ndarray:
    first = [axis for axis in range(len(axes)) if axes[axis] in "SC"]
    return np.moveaxis(pixels, first[0], -1) if first else pixels


def _colours(pixels: np.ndarray, page: Any, numbers: bool) -> np.ndarray:
    """Returns pixels as they are to be seen: with their palette's colours, white as the largest value."""
    if page.photometric.name == "PALETTE" and not numbers:
        return np.moveaxis(page.colormap, 0, -1)[pixels]
    if page.photometric.name == "MINISWHITE" and not numbers and pixels.dtype.kind == "u":
        return np.iinfo(pixels.dtype).max - pixels
    alpha = sum(extra.name in ("ASSOCALPHA", "UNASSALPHA") for extra in page.extrasamples)
    return pixels[..., : pixels.shape[-1] - alpha] if alpha else pixels
