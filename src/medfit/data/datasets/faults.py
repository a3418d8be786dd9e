"""Files of many that can't be read: the first ends the reading, or all are left out, counted and listed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from medfit.errors import UserError
from medfit.terminal.console import say

OnError = Literal["stop", "skip"]
MOST_LISTED = 20


class Faults:
    """What is wrong with single files.

    Args:
        on_error: ``stop`` at the first, or ``skip`` them all.

    Attributes:
        reasons: Of each file that was skipped, by its name.
    """

    def __init__(self, on_error: OnError) -> None:
        self.on_error = on_error
        self.reasons: dict[str, str] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Ends the block at an error of a file, and keeps the reason if it is skipped.

        Args:
            name: Of the file, below the data set's folder.
        """
        try:
            yield
        except UserError as error:
            placed = _placed(error, name)
            if self.on_error == "stop":
                raise placed from error.__cause__
            self.reasons[name] = str(placed)

    def missing(self, file: Path) -> bool:
        """Tells whether a file is missing that ends the reading at once; else its reader will miss it."""
        return self.on_error == "stop" and not file.exists()

    def tell(self, what: str) -> None:
        """Lists what was skipped.

        Args:
            what: The files are, in words.
        """
        if not self.reasons:
            return
        say(f"Warning: {len(self.reasons)} {what} are skipped (dataset.on_error=skip):")
        for reason in list(self.reasons.values())[:MOST_LISTED]:
            say(f"  {reason}")
        if len(self.reasons) > MOST_LISTED:
            say(f"  and {len(self.reasons) - MOST_LISTED} more")


def _placed(error: UserError, name: str) -> UserError:
    """Returns an error whose file has its folders, where the file's reader knows the last part of its name alone."""
    last, message = name.rpartition("/")[2], str(error)
    return UserError(f"{name}{message.removeprefix(last)}") if message.startswith(f"{last}: ") else error
