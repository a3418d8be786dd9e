"""Images whose channels lie in a file each, as nnU-Net has them: ``case_0000``, ``case_0001``."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from medfit.data.datasets.faults import Faults
from medfit.data.datasets.image_folders import Found
from medfit.errors import UserError

CHANNEL = re.compile(r"(.+)_(\d{4})")


class Case(NamedTuple):
    """An image's files.

    Args:
        found: By the case's name.
        files: One of all channels, or one for each.
    """

    found: Found
    files: list[Path]


def cases_of(images: Sequence[Found], labels: set[str], num_channels: int, faults: Faults) -> list[Case]:
    """Returns images with their channels in order: of several files, where each mask's name is theirs without number.

    Args:
        images: Files.
        labels: The masks' names.
        num_channels: That a case has; 0 for as many as the case with most.
        faults: Of single cases, to which those without all channels are added.

    Raises:
        UserError: a case that lacks a channel and is not to be skipped.
    """
    matches = [CHANNEL.fullmatch(image.name) for image in images]
    if not all(matches) or labels & {image.name for image in images}:
        return [Case(image, [image.path]) for image in images]
    parts: dict[str, dict[int, Found]] = {}
    for image, match in zip(images, matches, strict=True):
        if match:
            parts.setdefault(match[1], {})[int(match[2])] = image
    count = num_channels or 1 + max(number for own in parts.values() for number in own)
    for name, own in parts.items():
        first = own[min(own)].path.name
        with faults.of(first):
            _check_channels(first, name, own, count)
    return [
        Case(own[min(own)]._replace(name=name), [own[number].path for number in sorted(own)])
        for name, own in parts.items()
    ]


def _check_channels(file: str, case: str, own: dict[int, Found], count: int) -> None:
    if missing := sorted(set(range(count)) - own.keys()):
        raise UserError(f"{file}: its case '{case}' has no channel {missing[0]:04} of 0000 to {count - 1:04}")
    if extra := sorted(own.keys() - set(range(count))):
        raise UserError(f"{own[extra[0]].path.name}: is a channel beyond the {count} that dataset.json names")
