"""Units of signals: which are one, and which become another by a factor."""

VOLTS = {"v": 1.0, "mv": 1e-3, "uv": 1e-6, "nv": 1e-9, "volt": 1.0, "millivolt": 1e-3, "microvolt": 1e-6}


def plain(unit: str) -> str:
    """Returns a unit as all spellings of it are compared: in small letters, with u for micro."""
    return unit.strip().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u").lower()


def factor(old: str, new: str) -> float | None:
    """Returns what values in one unit are multiplied with to be in another; None where there is no such number.

    A unit that is not told is taken for the other.
    """
    old, new = plain(old), plain(new)
    if old == new or not old or not new:
        return 1.0
    return VOLTS[old] / VOLTS[new] if old in VOLTS and new in VOLTS else None
