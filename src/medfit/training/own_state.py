"""The file of a run's state: one a run, written now and then, and removed at the end."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from medfit.errors import disk_full
from medfit.terminal.console import say
from medfit.tracking.run import Run
from medfit.training import state_file
from medfit.training.checkpoints import Checkpoints
from medfit.training.interrupted import Interrupted, path_of
from medfit.training.origin import Origin


class OwnState:
    """The file of a run's state.

    Args:
        run: The run.
        origin: What the state is of.
    """

    def __init__(self, run: Run, origin: Origin) -> None:
        self.run, self.origin = run, origin
        self._exists, self._told = False, False

    @property
    def path(self) -> Path:
        """Of the file."""
        return path_of(self.run.store.folder, self.origin.key, self.run.id)

    def begin(self, checkpoints: Checkpoints, found: Interrupted | None) -> None:
        """Lets a training go on from a state, if there is one, and have its own states written."""
        checkpoints.keep, checkpoints.curves = self._keep, self.run.curves
        if found is None:
            return
        self._exists = True
        body = found.state.body if found.state else {}
        if body or found.continues:
            self.run.go_on(body.get("curves", {}), found.continues)
        if found.state is not None:
            checkpoints.resumed, checkpoints.earlier_s = body, body["seconds"]
            self.run.set_tag("medfit.resumed", f"epoch {found.state.header['epoch']}")
        if found.path != self.path:
            self._take(found)

    def remove(self) -> None:
        """Removes the state, which nothing needs any more."""
        if not self._exists:
            return
        state_file.remove(self.path)
        with suppress(OSError):  # others' states are in there
            self.path.parent.rmdir()

    def _take(self, found: Interrupted) -> None:
        """Makes another run's state this one's, which may be interrupted, too, before it writes its first."""
        if found.state is not None:
            self._write(found.state.header["epoch"], state_file.packed(found.state.body))
        if found.state is None or self.path.exists():
            state_file.remove(found.path)

    def _keep(self, content: memoryview, epoch: int) -> None:
        self._write(epoch, content)

    def _write(self, epoch: int, content: memoryview) -> None:
        """Writes a state; a training does not end for want of room for it."""
        header: dict[str, Any] = {"run": self.run.id, "epoch": epoch, **self.origin.facts}
        try:
            state_file.write_packed(self.path, header, content)
            self._exists = True
        except OSError as error:
            if not self._told:
                why = "the disk is full" if disk_full(error) else error.strerror or str(error)
                say(f"'{self.path.parent}' can't be written to ({why}): the training goes on, but can't after a kill")
            self._told = True
