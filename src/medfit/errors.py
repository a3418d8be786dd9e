"""Errors that a user can mend, told in a line or two."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
DISK_FULL = ("No space left", "disk is full", "Disk quota exceeded", "PytorchStreamWriter failed")


class UserError(Exception):
    """A mistake in a config, a file or an environment; its message needs no traceback."""


class StoreError(UserError):
    """A store can't be used at the moment: no trial's fault and no mistake in the config."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns the right name nearest to a wrong one, as words to end a message with."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not near:  # a long path with the right end in the wrong place
        near = [k for k in known if k.rpartition(".")[2] == name.rpartition(".")[2]][:1]
    return f"; did you mean '{near[0]}'?" if near else ""


@contextmanager
def blame(path: str, *kinds: type[Exception]) -> Iterator[None]:
    """Tells errors of some kinds (``TypeError`` and ``ValueError`` by default) as the path's, but no want of memory."""
    wrong = kinds or (TypeError, ValueError)
    try:
        yield
    except wrong as error:
        if out_of_memory(error):
            raise
        raise UserError(f"{path}: {error}") from error


def out_of_memory(error: BaseException) -> bool:
    """Tells want of memory from other errors: torch.OutOfMemoryError is a RuntimeError, as is a CPU's."""
    return any(isinstance(e, MemoryError) or any(sign in str(e) for sign in OUT_OF_MEMORY) for e in causes(error))


def interruption(error: BaseException) -> bool:
    """Tells Ctrl-C and SIGTERM from other errors, also where a library's clean-up failed on them with its own error."""
    return any(isinstance(e, KeyboardInterrupt) for e in causes(error))


def disk_full(error: BaseException) -> bool:
    """Tells a full disk from other errors, whichever library wrote."""
    return any(sign in str(e) for e in causes(error) for sign in DISK_FULL)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error, and those that it came from, each once: an error told in other words may come from itself."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def in_memory(told: Callable[[], str]) -> Iterator[None]:
    """Tells want of memory in the given words."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            raise UserError(told()) from error
        raise


@contextmanager
def renamed(path: str, new: str) -> Iterator[None]:
    """Tells a user's mistake under another config path, where that is what the user gave."""
    try:
        yield
    except UserError as error:
        raise type(error)(str(error).replace(path, new)) from error
