"""What a task asks when several devices may train it together."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


class OneDevice:
    """A device that trains by itself; :class:`medfit.training.several_devices.SeveralDevices` is one of several.

    Attributes:
        several: Whether there are others.
    """

    several = False

    def weighed(self, value: Tensor) -> Tensor:
        """Returns a mean over this device's part of a batch, weighted: the devices' mean is then that of the batch."""
        return value

    def num_samples(self, own: int) -> int:
        """Returns the samples of a batch on all devices, of which ``own`` are this device's."""
        return own

    def once(self, compute: Callable[[], Any]) -> Any:
        """Returns what one device computes, on all of them."""
        return compute()
