"""Errors that a user can mend, told in a line or two."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake in a config, a file or an environment; its message needs no traceback."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns the right name nearest to a wrong one, as words to end a message with."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:  # a long path with the right end in the wrong place
        near = [k for k in known if k.rpartition(".")[2] == name.rpartition(".")[2]][:1]
    return f"; did you mean '{near[0]}'?" if near else ""


@contextmanager
def blame(path: str, *kinds: type[Exception]) -> Iterator[None]:
    """Tells errors of the given kinds (``TypeError`` and ``ValueError`` by default) as the path's."""
    wrong = kinds or (TypeError, ValueError)
    try:
        yield
    except wrong as error:
        raise UserError(f"{path}: {error}") from error
