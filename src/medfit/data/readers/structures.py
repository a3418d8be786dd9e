"""Structures by name that a DICOM mask holds, and which class each is."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medfit.errors import UserError, suggest

MOST_NAMED = 5


class Structure(NamedTuple):
    """A segment of a DICOM SEG, or a region of an RTSTRUCT.

    Args:
        number: In its file.
        name: In its file; names may be equal.
        marks: Gives what it marks, bool in the shape of the image.
    """

    number: int
    name: str
    marks: Callable[[], np.ndarray]


@dataclass
class Structures:
    """Which class each structure is, by its number or its name, whatever the case; a later class covers an earlier.

    Args:
        classes: Class numbers by the structure's number or name; nothing where each file has one structure, of class 1.
        may_lack: Whether a file may have no structure of a class, as where nothing of it was found.

    Attributes:
        left_out: How many files hold a structure that is of no class, by its name.
        covered: In how many files a class covers a part of another, by the two class numbers.
    """

    classes: Mapping[int | str, int] = field(default_factory=dict)
    may_lack: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    covered: Counter[tuple[int, int]] = field(default_factory=Counter)

    def mask(self, path: Path, found: Sequence[Structure], shape: Sequence[int]) -> np.ndarray:
        """Returns class numbers, uint8 in the shape of the image.

        Args:
            path: Of the file, for messages.
            found: What it holds.
            shape: Of the image.

        Raises:
            UserError: several structures of which nobody said what they are, or none of a class.
        """
        chosen = [(self._class_of(path, structure, len(found)), structure) for structure in found]
        self._check_all(path, [number for number, _ in chosen if number], found)
        self.left_out.update({structure.name for number, structure in chosen if not number})
        made = np.zeros(shape, dtype=np.uint8)
        covered: set[tuple[int, int]] = set()
        for number, structure in sorted((each for each in chosen if each[0]), key=lambda each: each[0]):
            marks = structure.marks()
            covered |= {(int(under), number) for under in np.unique(made[marks]) if under not in (0, number)}
            made[marks] = number
        self.covered.update(covered)
        return made

    def told(self, classes: Sequence[str]) -> str:
        """Returns what to say of structures that are left out, and of classes that cover others."""
        names = [f"{name} ({count})" for name, count in self.left_out.most_common(MOST_NAMED)]
        more = ", ..." if len(self.left_out) > MOST_NAMED else ""
        told = f"; structures of no class are left out: {', '.join(names)}{more}" if names else ""
        for (under, above), count in sorted(self.covered.items()):
            told += f"; {classes[above]} covers a part of {classes[under]} in {count} images"
        return told

    def _class_of(self, path: Path, structure: Structure, count: int) -> int:
        """Returns a structure's class, 0 where it is of none."""
        if not self.classes:
            if count > 1:
                raise UserError(
                    f"{path.name}: holds {count} structures; say what they are, as dataset.layout=indexed "
                    f"'dataset.label_values={{{structure.name}: lesion}}'"
                )
            return 1
        by_name = {str(key).casefold(): number for key, number in self.classes.items() if isinstance(key, str)}
        return self.classes.get(structure.number) or by_name.get(structure.name.strip().casefold(), 0)

    def _check_all(self, path: Path, numbers: Sequence[int], found: Sequence[Structure]) -> None:
        names = [structure.name for structure in found]
        for key, number in self.classes.items():
            if number and number not in numbers and not (self.may_lack and found):
                has = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
                raise UserError(
                    f"{path.name}: has no structure '{key}'{suggest(str(key), names)} (it has: {has or 'none'}); "
                    "dataset.empty_masks=keep takes images without it"
                )
