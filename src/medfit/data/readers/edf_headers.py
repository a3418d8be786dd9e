"""What the first bytes of EDF and BDF files say, and which file holds another one's annotations."""

import re
from collections.abc import Sequence
from pathlib import Path

from medfit.errors import UserError

WORDS = re.compile(
    r"[-_. ]*(psg|hypnogram|hypno|hyp|sleep[-_ ]?(scoring|stages?)|scoring|stages?|annotations?|annot|events?)$", re.I
)
SLEEP_EDF = re.compile(r"(s[ct]4\d{3}|st7\d{3})[a-z][0-9a-z]", re.I)  # a night, then the letters of who scored it
ANNOTATIONS = (b"EDF Annotations", b"BDF Annotations")


def promised_bytes(file: Path) -> int | None:
    """Returns the size that a file's header tells; None where it tells none, as in an unfinished recording."""
    with file.open("rb") as opened:
        head = opened.read(256)
        try:
            header, records, signals = int(head[184:192]), int(head[236:244]), int(head[252:256])
            opened.seek(256 + 216 * signals)
            samples = sum(int(opened.read(8)) for _ in range(signals))
        except (OSError, ValueError):
            return None
    return header + records * samples * (3 if head[:1] == b"\xff" else 2) if records >= 0 else None


def holds_annotations_alone(file: Path) -> bool:
    """Tells whether a file has annotations, and no signal."""
    with file.open("rb") as opened:
        try:
            signals = int(opened.read(256)[252:256])
        except ValueError:
            return False
        labels = [opened.read(16).strip() for _ in range(signals)]
    return bool(labels) and all(label in ANNOTATIONS for label in labels)


def night(file: Path) -> str:
    """Returns what the names of a recording and of its hypnogram have in common.

    ``n1-PSG.edf`` has ``n1-Hypnogram.edf``, ``n1.edf`` has ``n1_sleepscoring.edf``; in Sleep-EDF ``SC4001E0-PSG.edf``
    has ``SC4001EC-Hypnogram.edf``.
    """
    name = WORDS.sub("", file.stem)
    sleep = SLEEP_EDF.fullmatch(name)
    return (sleep.group(1) if sleep else name).casefold()


def annotation_files(files: Sequence[Path]) -> dict[Path, list[Path]]:
    """Returns the files that hold nothing but a recording's annotations, by the recording.

    Files that have no recording of their name are left out.

    Raises:
        UserError: a file's name is that of several recordings.
    """
    nights: dict[str, list[Path]] = {}
    for file in files:
        nights.setdefault(night(file), []).append(file)
    found: dict[Path, list[Path]] = {}
    for of_one_name in nights.values():
        alone = [file for file in of_one_name if len(of_one_name) > 1 and holds_annotations_alone(file)]
        recordings = [file for file in of_one_name if file not in alone]
        for file in alone if recordings else ():
            near = [recording for recording in recordings if recording.parent == file.parent] or recordings
            if len(near) > 1:
                names = " and ".join(f"'{recording.name}'" for recording in near[:2])
                raise UserError(f"dataset.root: '{file.name}' holds annotations of {names}: leave one in the folder")
            found.setdefault(near[0], []).append(file)
    return found
