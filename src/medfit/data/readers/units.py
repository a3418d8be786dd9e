"""Units of signals: which are one, and which become another by a factor."""

PARTS = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "milli": 1e-3, "micro": 1e-6, "nano": 1e-9}
VOLTS = {part + word: size for part, size in PARTS.items() for word in ("v", "volt", "volts")}
VOLTS |= {"microvol": 1e-6, "millivol": 1e-3}  # as far as the eight letters of an EDF header go
VOLTS |= {"auv": 1e-6}  # what pyedflib writes for µV


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
