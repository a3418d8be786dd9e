"""Augmentation of series: what each change does, how often, and under which seed."""

import pytest
import torch

from series_steps import AUGMENTATIONS, augment, batch


def turns(share, length=20):
    """By how much each series of a batch was turned; every channel must agree."""
    x = torch.arange(1.0, length + 1).repeat(2000, 2, 1)
    shifted = augment(x, shift=share)
    assert torch.equal(shifted[:, 0], shifted[:, 1])
    first = (shifted[:, 0] == 1).int().argmax(dim=1)
    assert all(torch.equal(torch.roll(row, -int(start)), x[0, 0]) for row, start in zip(shifted[:, 0], first, strict=True))  # fmt: skip
    return {int(start) if start <= length / 2 else int(start) - length for start in first}


def masks(share, length=20):
    """Start and width of each stretch that was set to nought; it must be one stretch, of all channels."""
    gone = augment(torch.ones(5000, 2, length), time_mask=share) == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    where = [row.nonzero()[:, 0].tolist() for row in gone[:, 0]]
    assert all(row == list(range(row[0], row[-1] + 1)) for row in where if row)
    return [(row[0], len(row)) for row in where if row], gone[:, 0]


def test_by_default_nothing_is_augmented():
    x = batch()
    assert torch.equal(augment(x), x)


def test_a_shift_turns_series_by_at_most_the_share_to_both_sides():
    assert turns(0.2) == set(range(-4, 5))


def test_a_shift_of_less_than_a_sample_turns_nothing():
    assert turns(0.04) == {0}


def test_jitter_has_its_standard_deviation():
    x = batch()
    noise = augment(x, jitter=0.3) - x
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)


def test_jitter_has_mean_0():
    x = batch()
    assert (augment(x, jitter=0.3) - x).mean().item() == pytest.approx(0, abs=0.01)


def test_jitter_differs_between_samples_of_a_series():
    x = batch()
    assert (augment(x, jitter=0.3) - x).std(dim=2).min() > 0.05


def test_magnitude_is_one_gain_a_series():
    x = batch()
    gains = augment(x, magnitude=0.2) / x
    torch.testing.assert_close(gains, gains[:, :1, :1].expand(x.shape))


def test_magnitude_has_its_standard_deviation_around_1():
    gains = augment(torch.ones(20_000, 1, 1), magnitude=0.2)
    assert gains.mean().item() == pytest.approx(1, abs=0.01) and gains.std().item() == pytest.approx(0.2, rel=0.02)


def test_a_time_mask_is_at_most_the_share_long():
    stretches, _ = masks(0.25)
    assert {width for _, width in stretches} == {1, 2, 3, 4, 5}


def test_a_time_mask_leaves_some_series_as_they_are():
    _, gone = masks(0.25)
    assert (~gone.any(dim=1)).float().mean().item() == pytest.approx(1 / 6, abs=0.03)


def test_a_time_mask_of_a_width_starts_anywhere():
    stretches, _ = masks(0.25)
    assert {start for start, width in stretches if width == 5} == set(range(16))


def test_a_time_mask_reaches_both_ends():
    _, gone = masks(0.25)
    assert gone.any(dim=0).all()


def test_a_time_mask_leaves_other_samples_alone():
    x = batch()
    masked = augment(x, time_mask=0.5)
    assert torch.equal(masked[masked != 0], x[masked != 0])


def test_channel_dropout_has_its_probability():
    gone = (augment(torch.ones(10_000, 2, 3), channel_dropout=0.3) == 0).all(dim=2)
    assert gone.float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_channels_drop_out_one_without_the_other():
    gone = (augment(torch.ones(10_000, 2, 3), channel_dropout=0.3) == 0).all(dim=2)
    assert gone.all(dim=1).float().mean().item() == pytest.approx(0.09, abs=0.01)


def test_channel_dropout_takes_whole_channels_and_leaves_others_alone():
    x = batch()
    kept = augment(x, channel_dropout=0.3)
    gone = (kept == 0).all(dim=2)
    assert torch.equal(kept[~gone], x[~gone])


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_is_repeated_under_the_same_seed(kind):
    x, chosen = batch(), {kind: AUGMENTATIONS[kind]}
    assert torch.equal(augment(x, seed=3, **chosen), augment(x, seed=3, **chosen))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_differs_under_another_seed(kind):
    x, chosen = batch(), {kind: AUGMENTATIONS[kind]}
    assert not torch.equal(augment(x, seed=3, **chosen), augment(x, seed=4, **chosen))


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_an_augmentation_changes_nothing_in_place(kind):
    x = batch()
    before = x.clone()
    changed = augment(x, **{kind: AUGMENTATIONS[kind]})
    assert torch.equal(x, before) and not torch.equal(changed, before)


def test_all_augmentations_together_keep_shape_and_type():
    x = batch()
    made = augment(x, **AUGMENTATIONS)
    assert made.shape == x.shape and made.dtype == x.dtype and made.isfinite().all()
