import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy import ndimage
from scipy.interpolate import BSpline
from scipy.spatial.transform import Rotation

from medfit.config.compose import compose
from medfit.config.instantiate import build
from medfit.data.preprocessing import augmentation
from medfit.data.preprocessing.augmentation import PROBABILITY, Augmentation
from medfit.errors import UserError

ALWAYS = dict.fromkeys(PROBABILITY, 1.0) | {"flip": 0.5}
MOVES = {
    "flip_axes": [0, 1, 2],
    "rotation_degrees": 20.0,
    "zoom": 0.2,
    "elastic_px": 3.0,
}
VALUES = {"noise": 0.1, "gain": 0.2, "offset": 0.1}
SIZES = [(24, 32), (12, 16, 20)]
each = pytest.mark.parametrize("name", [*MOVES, *VALUES])
each_move = pytest.mark.parametrize("name", MOVES)
each_size = pytest.mark.parametrize("size", SIZES, ids=["2D", "3D"])


def always(**more):
    """Changes every image."""
    return Augmentation(**{"probability": ALWAYS} | more)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def only(name):
    return always(**{name: (MOVES | VALUES)[name]})


def all_at_once():
    return always(**MOVES, **VALUES)


def smooth(size, batch=6, channels=1):
    """Images without edges, in [0, 1]."""
    x = np.random.default_rng(0).normal(size=(batch, channels, *size))
    x = ndimage.gaussian_filter(x, (0, 0, *[2] * len(size)))
    return torch.from_numpy((x - x.min()) / np.ptp(x)).float()


def marked(x):
    """Three classes, told from the image."""
    return (x[:, 0] > 0.45).long() + (x[:, 0] > 0.6)


def coordinates(size, batch=1):
    """Each pixel's place, one axis a channel."""
    places = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in size], indexing="ij"))
    return places.expand(batch, *places.shape)


def disc(size, radius):
    centre = (torch.tensor(size, dtype=torch.float) - 1) / 2
    distances = (coordinates(size)[0] - centre.view(-1, *[1] * len(size))).square().sum(dim=0).sqrt()
    return (radius - distances).clamp(-0.5, 0.5)[None, None] + 0.5


def repeated(x, times):
    return x.expand(times, *x.shape[1:])


# What every augmentation does


@each_size
@each
def test_shape_type_and_class_numbers_are_kept_by(name, size):
    x = smooth(size, channels=2)
    made, mask = only(name)(x, marked(x))
    assert (
        made.shape == x.shape and made.dtype == torch.float32 and made.isfinite().all() and type(made) is torch.Tensor
    )
    assert mask.shape == (6, *size) and mask.dtype == torch.int64 and set(mask.unique().tolist()) <= {0, 1, 2}


@each_size
@each
def test_images_without_masks_are_taken_by(name, size):
    x = smooth(size)
    made, mask = only(name)(x)
    assert mask is None and made.shape == x.shape and not torch.equal(made, x)


@each_size
@each_move
def test_image_and_mask_move_together_by(name, size):
    x = smooth(size)
    made, mask = only(name)(x, marked(x))
    differ = mask != marked(made)
    # between pixels an image is interpolated and a mask is not: they may differ where the image is near a threshold
    step = sum(x.diff(dim=axis).abs().max() for axis in range(2, x.ndim)) / 2
    nearest = torch.stack([made[:, 0] - 0.45, made[:, 0] - 0.6]).abs().amin(dim=0)
    assert not torch.equal(mask, marked(x))
    assert (nearest[differ] <= step).all() and differ.float().mean() < 0.08


@each_size
@each_move
def test_all_channels_move_together_by(name, size):
    x = smooth(size)
    made, _ = only(name)(torch.cat([x, x], dim=1))
    assert torch.equal(made[:, 0], made[:, 1])


@pytest.mark.parametrize("name", VALUES)
def test_the_mask_is_left_alone_by(name):
    x = smooth((16, 16))
    assert torch.equal(only(name)(x, marked(x))[1], marked(x))


@each_size
@each
def test_the_batch_itself_is_left_as_it_was_by(name, size):
    x = smooth(size)
    before, mask = x.clone(), marked(x)
    only(name)(x, mask)
    assert torch.equal(x, before) and torch.equal(mask, marked(before))


@each
def test_images_of_a_batch_are_changed_differently_by(name):
    made = only(name)(repeated(smooth((16, 16), 1), 64))[0]
    assert len({image.numpy().tobytes() for image in made}) > (3 if name == "flip_axes" else 15)


@each
def test_each_call_changes_anew_by(name):
    augment, x = only(name), smooth((16, 16), 16)
    assert not torch.equal(augment(x)[0], augment(x)[0])


@each_size
def test_the_same_seed_changes_alike(size):
    x, made = smooth(size, 3), []
    for _ in range(2):
        torch.manual_seed(7)
        augment = all_at_once()
        made.append([*augment(x, marked(x)), *augment(x, marked(x))])
    assert all(torch.equal(one, other) for one, other in zip(*made, strict=True))


@each
def test_another_seed_changes_otherwise_by(name):
    x, made = smooth((16, 16), 16), []
    for number in (1, 2):
        torch.manual_seed(number)
        made.append(only(name)(x)[0])
    assert not torch.equal(*made)


@each
def test_numpys_own_state_has_no_part_in(name):
    x, made = smooth((16, 16)), []
    for number in (1, 2):
        np.random.seed(number)
        torch.manual_seed(0)
        made.append(only(name)(x)[0])
    assert torch.equal(*made)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@each
def test_the_precision_is_kept_by(name, dtype):
    x = smooth((16, 16)).to(dtype)
    made, mask = only(name)(x, marked(x))
    assert made.dtype == dtype and mask.dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_large_class_numbers_are_kept(dtype):
    x = smooth((16, 16))
    mask = marked(x) * 100
    assert set(all_at_once()(x, mask.to(dtype))[1].unique().tolist()) == {0, 100, 200}


@pytest.mark.parametrize("size", [(5, 7), (1, 16), (3, 4, 1)])
def test_small_images_are_taken(size):
    made, mask = all_at_once()(torch.rand(2, 1, *size), torch.ones(2, *size, dtype=torch.int64))
    assert made.shape == (2, 1, *size) and made.isfinite().all() and (mask == 1).all()


def test_by_default_nothing_is_changed():
    x = smooth((16, 16))
    made, mask = always()(x, marked(x))
    assert made is x and torch.equal(mask, marked(x)) and not always().changes


@each
def test_anything_asked_for_is_a_change(name):
    assert only(name).changes


# Each augmentation


def test_flips_mirror_each_axis_half_of_the_time():
    x = torch.rand(1, 1, 4, 4)
    made = always(flip_axes=[0, 1])(repeated(x, 400))[0]
    shares = [(made == x.flip(axes)).flatten(1).all(dim=1).float().mean().item() for axes in ([], [2], [3], [2, 3])]
    assert sum(shares) == 1 and shares == pytest.approx([0.25] * 4, abs=0.1)


def test_flips_leave_other_axes():
    x = torch.rand(1, 1, 3, 4, 5)
    made = always(flip_axes=[1])(repeated(x, 30))[0]
    assert {tuple(image.flatten().tolist()) for image in made} == {
        tuple(image.flatten().tolist()) for image in (x, x.flip(3))
    }


def test_an_axis_that_flat_images_lack_is_left_out():
    x = torch.rand(4, 1, 4, 4)
    assert torch.equal(always(flip_axes=[2])(x)[0], x)


def test_turns_are_as_large_as_asked_either_way():
    bar = torch.zeros(1, 1, 65, 65)
    bar[..., 30:35, 8:57] = 1
    made = always(rotation_degrees=30.0)(repeated(bar, 60))[0][:, 0]
    degrees = []
    for image in made:
        rows, columns = (image > 0.5).nonzero().T - 32.0
        degrees.append(float(torch.atan2((2 * rows * columns).sum(), (columns**2 - rows**2).sum()).rad2deg() / 2))
    assert max(map(abs, degrees)) <= 30.5 and max(degrees) > 20 and min(degrees) < -20


@each_size
def test_a_turned_disc_stays(size):
    x = disc(size, 4)
    made = always(rotation_degrees=180.0)(repeated(x, 4))[0]
    torch.testing.assert_close(made, repeated(x, 4), rtol=0, atol=0.25)


@each_size
def test_zoom_is_as_large_as_asked_along_each_axis(size):
    axes = len(size)
    made = always(zoom=0.3)(coordinates((33,) * axes, 30))[0]
    middle = (slice(None), slice(None), *[slice(14, 19)] * axes)
    slopes = torch.stack([made[middle][:, axis].diff(dim=axis + 1).flatten(1).mean(dim=1) for axis in range(axes)])
    factors = slopes.flatten()
    assert factors.min() >= 0.7 - 1e-3 and factors.max() <= 1.3 + 1e-3
    assert factors.min() < 0.8 and factors.max() > 1.2


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(st.tuples(*[st.integers(2, 40)] * 2), st.tuples(*[st.integers(2, 20)] * 3)), st.floats(0.1, 10)
)  # fmt: skip
def test_elastic_shifts_never_exceed_what_is_asked(size, largest):
    places = coordinates(size, 3)
    shifts = always(elastic_px=largest)(places)[0] - places
    assert shifts.abs().max() <= largest + 1e-3


@each_size
def test_elastic_shifts_reach_what_is_asked_along_every_axis(size):
    places = coordinates((48,) * len(size), 40)
    shifts = (always(elastic_px=4.0)(places)[0] - places).abs()
    reached = shifts.transpose(0, 1).flatten(1).amax(dim=1)
    assert (reached > 2.5).all()


def test_elastic_images_are_shifted_by_anything_up_to_what_is_asked():
    places = coordinates((40, 40), 200)
    largest = (always(elastic_px=4.0)(places)[0] - places).abs().flatten(1).amax(dim=1)
    np.testing.assert_allclose(largest.quantile(torch.tensor([0.25, 0.5, 0.75])), [1, 2, 3], atol=0.5)


def test_elastic_shifts_are_smooth():
    places = coordinates((64, 64), 20)
    shifts = always(elastic_px=4.0)(places)[0] - places
    inner = shifts[..., 5:-5, 5:-5]
    assert inner.diff(dim=2).abs().max() < 1 and inner.diff(dim=3).abs().max() < 1  # nothing folds over


def test_elastic_shifts_have_no_direction():
    places = coordinates((32, 32), 400)
    shifts = (always(elastic_px=4.0)(places)[0] - places)[..., 5:-5, 5:-5]
    assert shifts.mean(dim=(0, 2, 3)).abs().max() < 0.1


def test_noise_has_the_standard_deviation_asked_for():
    added = always(noise=0.3)(torch.ones(8, 1, 40, 40))[0] - 1
    assert added.std().item() == pytest.approx(0.3, rel=0.05) and abs(added.mean().item()) < 0.02


def test_gain_scales_each_image_by_no_more_than_asked():
    factors = always(gain=0.2)(torch.ones(200, 1, 2, 2))[0].flatten(1)
    assert factors.std(dim=1).max() == 0 and factors.min() >= 0.8 and factors.max() <= 1.2
    assert factors.min() < 0.85 and factors.max() > 1.15


def test_offset_adds_to_each_image_no_more_than_asked():
    offsets = always(offset=0.5)(torch.zeros(200, 1, 2, 2))[0].flatten(1)
    assert offsets.std(dim=1).max() == 0 and offsets.min() >= -0.5 and offsets.max() <= 0.5
    assert offsets.min() < -0.4 and offsets.max() > 0.4


# Places in mm, probabilities


def rods(spacing, times):
    """A rod of 40 mm along the first axis, 4 mm or a few voxels thick, in a cube of 64 mm."""
    rod = torch.zeros(1, 1, *[round(64 / mm) for mm in spacing])
    halves = (20, *(max(2, mm) for mm in spacing[1:]))
    rod[(0, 0, *(slice(round((32 - h) / mm), round((32 + h) / mm)) for h, mm in zip(halves, spacing, strict=True)))] = 1
    return rod.repeat(times, *[1] * (rod.ndim - 1))


def longest_mm(image, spacing):
    """The length of a rod, from the spread of what is marked along its own direction."""
    places = coordinates(image.shape[1:])[0].flatten(1).T * torch.tensor(spacing)
    weights = image.flatten().clamp(min=0)
    spread = torch.cov(places.T, aweights=weights, correction=0)
    return (12 * torch.linalg.eigvalsh(spread)[-1]).sqrt().item()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 4.0), (1.0, 1.0, 1.0), (2.0, 1.0, 4.0), (4.0, 1.0, 1.0)])
def test_a_turned_rod_keeps_its_length_in_mm(spacing):
    x = rods(spacing, 12)
    made, mask = always(rotation_degrees=60.0)(x, (x[:, 0] > 0.5).long(), spacing)
    lengths = [longest_mm(image, spacing) for image in made]
    assert longest_mm(x[0], spacing) == pytest.approx(40, abs=3)
    np.testing.assert_allclose(lengths, 40, atol=6)
    np.testing.assert_allclose([longest_mm(one[None].float(), spacing) for one in mask], 40, atol=6)


def test_a_turn_in_pixels_would_stretch_the_rod():
    x = rods((1.0, 1.0, 4.0), 12)
    made = always(rotation_degrees=60.0)(x)[0]
    lengths = [longest_mm(image, (1.0, 1.0, 4.0)) for image in made]
    assert max(lengths) > 48 or min(lengths) < 32


def test_a_turned_disc_stays_a_disc_in_mm():
    places = coordinates((64, 16))[0] * torch.tensor([1.0, 4.0]).view(-1, 1, 1)
    disc_mm = (12 - (places - torch.tensor([31.5, 30.0]).view(-1, 1, 1)).square().sum(dim=0).sqrt()).clamp(-2, 2)[
        None, None
    ]
    made = always(rotation_degrees=90.0)(repeated(disc_mm, 8), spacing_mm=(1.0, 4.0))[0]
    assert (made - disc_mm).abs().max() < 2 and (made - disc_mm).abs().mean() < 0.15


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 4.0), (3.0, 1.0, 1.0)])
def test_elastic_shifts_are_as_large_in_mm_along_every_axis(spacing):
    places = coordinates((40, 40, 40), 30)
    shifts = (always(elastic_px=4.0)(places, spacing_mm=spacing)[0] - places).abs()
    reached = shifts.transpose(0, 1).flatten(1).amax(dim=1) * torch.tensor(spacing)
    assert (reached <= 4 + 1e-3).all() and (reached > 2).all()


@each_size
@pytest.mark.parametrize("name", [*MOVES, *VALUES])
def test_each_change_befalls_its_share_of_the_images_and_leaves_the_others_untouched(name, size):
    change = name.partition("_")[0]
    x = repeated(smooth(size, 1), 400)
    augment = Augmentation(**{name: [0] if name == "flip_axes" else (MOVES | VALUES)[name]}, probability={change: 0.3})
    made, mask = augment(x, marked(x))
    same = (made == x).flatten(1).all(dim=1)
    assert same.float().mean().item() == pytest.approx(0.7, abs=0.08)
    assert torch.equal(mask[same], marked(x)[same])


def test_changes_befall_images_independently():
    x = repeated(smooth((8, 8), 1), 4000)
    made = Augmentation(gain=0.2, offset=0.3, noise=0.1, probability={"gain": 0.5, "offset": 0.5, "noise": 0.5})(x)[0]
    assert (made == x).flatten(1).all(dim=1).float().mean().item() == pytest.approx(0.125, abs=0.02)


@pytest.mark.parametrize("choice", ["light", "strong"])
def test_untouched_images_are_seen_by_default(choice):
    augment = build(compose(["dataset=mni_tissue", f"preprocessing/augmentation={choice}"]).preprocessing.augmentation)
    x = repeated(smooth((8, 8), 1), 400)
    assert 0.05 < (augment(x)[0] == x).flatten(1).all(dim=1).float().mean().item() < 0.6


@pytest.mark.parametrize(("wrong", "path"), [({"rotation": 1.5}, "rotation"), ({"turn": 0.5}, "turn")])
def test_a_probability_that_is_none_is_refused(wrong, path):
    key, value = next(iter(wrong.items()))
    with pytest.raises(UserError, match=f"preprocessing.augmentation.probability.*{path}"):
        compose(
            [
                "dataset=mni_tissue",
                f"+preprocessing.augmentation.probability.{key}={value}".lstrip("+" * (key == "rotation")),
            ]
        )


# Configs


@pytest.mark.parametrize(("choice", "changes"), [("none", False), ("light", True), ("strong", True)])
@each_size
def test_each_choice_is_built_and_used(choice, changes, size):
    cfg = compose(["dataset=mni_tissue", f"preprocessing/augmentation={choice}"])
    augment = build(cfg.preprocessing.augmentation)
    x = smooth(size, 40)
    assert augment.changes == changes and torch.equal(augment(x)[0], x) != changes


@pytest.mark.parametrize("choice", ["light", "strong"])
def test_a_choice_says_every_value(choice):
    cfg = compose(["dataset=mni_tissue", f"preprocessing/augmentation={choice}"])
    assert set(OmegaConf.to_container(cfg.preprocessing.augmentation)) == {*MOVES, *VALUES, "probability", "_target_"}


@pytest.mark.parametrize("wrong", ["flip_axes=[3]", "rotation_degrees=-1", "zoom=1", "elastic_px=-1", "noise=a"])
def test_a_value_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match=r"preprocessing\.augmentation\."):
        compose(["dataset=mni_tissue", f"preprocessing.augmentation.{wrong}"])


def test_rotations_are_scipys():
    angles = torch.rand(5, 3) * 2 - 1
    about = Rotation.from_euler("ZYX", angles.numpy() * [1, -1, 1])  # the planes of axes 0 and 1, 0 and 2, 1 and 2
    np.testing.assert_allclose(augmentation._rotations(angles), about.as_matrix(), atol=1e-6)
    np.testing.assert_allclose(
        augmentation._rotations(angles[:, :1]), augmentation._rotations(angles * torch.tensor([1, 0, 0]))[:, :2, :2]
    )


@pytest.mark.parametrize(("size", "cell"), [(30, 8.0), (17, 5.5), (3, 16.0)])
def test_splines_are_scipys_cubic_ones(size, cell):
    found = augmentation._splines(size, cell)
    knots = len(found)
    expected = BSpline(np.arange(-3, knots + 1), np.eye(knots), 3)(np.arange(size) / cell).T
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
