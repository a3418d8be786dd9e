"""Compressed DICOM images that pydicom alone can't read, by imagecodecs: pydicom calls what is here as its plug-in."""

from typing import Any

import numpy as np

DECODERS = {  # by the number of the way of compressing
    "1.2.840.10008.1.2.4.57": "ljpeg_decode",
    "1.2.840.10008.1.2.4.70": "ljpeg_decode",  # JPEG Lossless, by its usual predictor
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",  # near-lossless
    "1.2.840.10008.1.2.4.90": "jpeg2k_decode",  # lossless
    "1.2.840.10008.1.2.4.91": "jpeg2k_decode",
}
DECODER_DEPENDENCIES = dict.fromkeys(DECODERS, ("imagecodecs",))  # pydicom asks for it
LABEL = "medfit"


def is_available(kind: str) -> bool:
    """Tells whether a way of compressing can be read; pydicom asks it."""
    return kind in DECODERS


def decode_frame(source: bytes, runner: Any) -> bytes:
    """Returns the pixels of one image, in its own rows and with colours side by side.

    Args:
        source: Compressed.
        runner: pydicom's, which is told how many bits a value takes.
    """
    import imagecodecs  # late: a quick start

    decode = getattr(imagecodecs, DECODERS[runner.transfer_syntax])
    pixels = np.ascontiguousarray(decode(source))
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    if pixels.ndim == 3:
        runner.set_option("planar_configuration", 0)
    return pixels.tobytes()


def register() -> None:
    """Tells pydicom of these decoders, once in a process."""
    from pydicom.pixels import get_decoder  # late: a quick start
    from pydicom.uid import UID

    for kind in DECODERS:
        decoder = get_decoder(UID(kind))
        if LABEL not in decoder.available_plugins:
            decoder.add_plugin(LABEL, (__name__, decode_frame.__name__))
