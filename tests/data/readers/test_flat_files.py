import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as PillowImage
from PIL import ImageOps

from fake_images import GREY, few, refused, write_flat
from medfit.data.readers.flat_files import turned_by_tag
from medfit.data.readers.image_files import read_image
from medfit.errors import UserError

shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))

pixels8 = st.one_of(
    hnp.arrays(np.uint8, shapes), hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
)

pixels16 = hnp.arrays(np.uint16, shapes)

pixels16_rgb = hnp.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def channels_first(pixels):
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


@few
@given(st.one_of(pixels8, pixels16), st.sampled_from(["png", "tif", "tiff"]))
def test_any_flat_image_reads_back_equal(pixels, ending):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{ending}"
        if ending == "png":
            write_flat(path, pixels)
        else:
            tifffile.imwrite(path, pixels)
        image = read_image(path)
    assert image.x.dtype == pixels.dtype
    assert np.array_equal(image.x, channels_first(pixels))


def test_webp_is_read(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = write_flat(tmp_path / "a.webp", colours, lossless=True)
    assert np.array_equal(read_image(path).x, channels_first(colours))


def test_a_moving_webp_is_refused(tmp_path):
    frames = [PillowImage.fromarray(values).convert("RGB") for values in (GREY, 255 - GREY)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    assert "holds several images" in refused(tmp_path / "a.webp")


@few
@given(pixels16_rgb)
def test_sixteen_bits_of_colour_in_png_are_kept(pixels):
    from imagecodecs import png_encode

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        path.write_bytes(png_encode(pixels))
        assert np.array_equal(read_image(path).x, channels_first(pixels))


@few
@given(pixels16_rgb, st.sampled_from([None, "zlib", "lzw", "jpeg2000"]), st.sampled_from(["contig", "separate"]))
def test_tiffs_of_any_compression_and_plane_order_read_back_equal(pixels, compression, planes):
    stored = pixels if planes == "contig" else np.moveaxis(pixels, -1, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        tifffile.imwrite(path, stored, compression=compression, planarconfig=planes, photometric="rgb")
        assert np.array_equal(read_image(path).x, channels_first(pixels))


def test_the_orientation_of_a_photograph_is_respected(tmp_path):
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    pixels = np.repeat(np.repeat(GREY, 8, axis=0), 8, axis=1)
    PillowImage.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    assert np.abs(read_image(tmp_path / "a.jpg").x[0].astype(int) - np.rot90(pixels, -1)).max() < 12


def test_transparency_is_left_out(tmp_path):
    rgba = np.dstack([GREY, GREY + 1, GREY + 2, np.full_like(GREY, 100)])
    assert np.array_equal(read_image(write_flat(tmp_path / "a.png", rgba)).x, channels_first(rgba[..., :3]))


def test_a_palette_png_is_read_in_its_colours(tmp_path):
    image = PillowImage.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").x[:, 0].T.tolist() == [[255, 0, 0], [0, 255, 0]]


def test_a_tiff_with_white_as_zero_is_turned(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif").x[0], 255 - GREY)


def test_a_grey_image_is_given_colours(tmp_path):
    assert np.array_equal(read_image(write_flat(tmp_path / "a.png", GREY), num_channels=3).x, np.stack([GREY] * 3))


def test_a_colour_image_is_turned_grey_as_pillow_does(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    x = read_image(write_flat(tmp_path / "a.png", rgb), num_channels=1).x
    assert x.shape == (1, 6, 8)
    assert np.abs(x[0].astype(int) - np.asarray(PillowImage.fromarray(rgb).convert("L"))).max() <= 1


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@few
@given(share=st.floats(0, 0.99))
def test_no_cut_tiff_is_read_with_wrong_values(compression, share):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    whole = io.BytesIO()
    tifffile.imwrite(whole, noise, compression=compression)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        path.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * share)])
        try:
            assert np.array_equal(read_image(path).x[0], noise)
        except UserError as error:
            assert "a.tif" in str(error)


def test_a_stack_in_a_tiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    assert "a stack of them" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("how", range(1, 9))
def test_a_tiff_is_turned_as_its_tag_says(tmp_path, how):
    path = write_flat(tmp_path / "a.tif", GREY, tiffinfo={274: how})
    exif = PillowImage.Exif()
    exif[274] = how
    with PillowImage.open(write_flat(tmp_path / "a.png", GREY, exif=exif)) as image:
        assert np.array_equal(read_image(path).x[0], np.asarray(ImageOps.exif_transpose(image)))
    assert turned_by_tag(path) == turned_by_tag(tmp_path / "a.png") == how


def test_a_png_of_several_images_is_refused(tmp_path):
    first = PillowImage.fromarray(GREY)
    first.save(tmp_path / "a.png", save_all=True, append_images=[PillowImage.fromarray(255 - GREY)])
    assert "holds several images" in refused(tmp_path / "a.png")
