"""Flat images, whole and broken, and what is told of them."""

import numpy as np
import pytest

from fake_images import write_flat
from medfit.errors import UserError

PIXELS = np.arange(80, dtype=np.uint8).reshape(8, 10)


def png(path, pixels=PIXELS):
    return write_flat(path, pixels)


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def text(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("404 not found")
    return path


def refused(make):
    with pytest.raises(UserError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def told(capsys):
    return " ".join(capsys.readouterr().out.split())
