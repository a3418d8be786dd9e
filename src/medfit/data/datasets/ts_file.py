"""A user's own time series in the text format of sktime and aeon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from medfit.data.datasets.roles import take_roles
from medfit.data.datasets.series import Series, points
from medfit.errors import UserError
from medfit.terminal.console import say


class TsFile(Series):
    """The series of a ``.ts`` file, each its own patient's; lengths may differ.

    A line of data holds a series: its channels between colons, their values between commas (``?`` where one is
    missing), then the class or the target number. The header says which: ``@classLabel true``, with all classes, or
    ``@targetLabel true``.

    Args:
        path: Of the file, relative to where the command is run.
        test_path: Of a second file, whose series are the test split; None to divide the first at random.
        channels: Names of the channels; None for ``channel 1`` and so on, or ``signal`` where there is but one.
        sampling_rate_hz: None where it is not known.
        positive: The positive class of two; None for the larger.
        units: Of channels, and of the target, which is named ``target``.
    """

    def __init__(
        self,
        path: str,
        test_path: str | None = None,
        channels: Sequence[str] | None = None,
        sampling_rate_hz: Annotated[float, Field(gt=0)] | None = None,
        positive: str | int | float | bool | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        parts = [read_ts(name) for name in (path, test_path) if name is not None]
        _check_alike(parts)
        table = pd.DataFrame({parts[0].kind: _numbers([label for part in parts for label in part.labels])})
        rest, about, told = take_roles(table, parts[0].kind, None, None, _task(table), positive)
        every = [series for part in parts for series in part.x]
        x = [every[row] for row in rest.index]
        if test_path is not None:
            about["given_split"] = np.repeat(["train", "test"], [len(part.x) for part in parts])[rest.index]
        names = channels or (["signal"] if len(x[0]) == 1 else [f"channel {i + 1}" for i in range(len(x[0]))])
        if len(names) != len(x[0]):
            raise UserError(f"dataset.channels: '{path}' has {len(x[0])} channels, not {len(names)}")
        file = Path(path)
        about |= {"name": file.stem.removesuffix("_TRAIN"), "source": f"{file.name}, the user's own", "units": units}
        super().__init__(x=x, channels=names, sampling_rate_hz=sampling_rate_hz, **about)
        say(f"{file.name}: {told}; series of {len(names)} x {points(x)} points")


@dataclass(frozen=True)
class LabelledSeries:
    """What a ``.ts`` file holds.

    Args:
        path: Of the file.
        kind: ``class`` or ``target``: what stands at the end of a line; empty where nothing does.
        x: The series, float32 (channels, length) each; NaN where a value is missing.
        labels: What stands at the end of each line.
    """

    path: str
    kind: str
    x: list[np.ndarray]
    labels: list[str]


def read_ts(path: str, labelled: bool = True) -> LabelledSeries:
    """Returns the series and labels of a ``.ts`` file.

    Args:
        path: Of the file.
        labelled: Whether it must have labels, and series without a channel that is missing throughout.

    Raises:
        UserError: the file is not there, not of the format, cut off or ragged, has time stamps; has no labels, or a
            channel that is missing throughout, though it must; values are no numbers, or infinite.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"dataset.path: there is no file '{path}'")
    lines = [line.strip() for line in _decoded(file.read_bytes()).splitlines()]
    header, start = _header(path, lines)
    if header.get("timestamps", "").lower() == "true":
        raise UserError(f"dataset.path: '{path}' has time stamps (@timeStamps true), which are not read")
    kinds = [kind for kind in ("class", "target") if header.get(f"{kind}label", "").lower().startswith("true")]
    if labelled and not kinds:
        raise UserError(f"dataset.path: '{path}' has neither @classLabel true nor @targetLabel true: no targets")
    lines_of_data = [(number, line) for number, line in enumerate(lines, 1) if number > start and _counts(line)]
    rows = [_row(path, number, line if kinds else f"{line}:") for number, line in lines_of_data]
    if not rows:
        raise UserError(f"dataset.path: '{path}' holds no series after @data")
    _check_shapes(path, header, rows)
    if labelled:
        _check_present(path, rows)
    x, labels = [x for _, x, _ in rows], [label for *_, label in rows]
    if labelled and kinds[0] == "class":
        _check_classes(path, header["classlabel"].split()[1:], rows)
    return LabelledSeries(path, kinds[0] if kinds else "", x, labels)


Row = tuple[int, np.ndarray, str]  # the number of the line, the series, the label


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # as comments in the archives' files may be
        return content.decode("latin-1")


def _counts(line: str) -> bool:
    return bool(line) and line[0] not in "#%"


def _header(path: str, lines: Sequence[str]) -> tuple[dict[str, str], int]:
    """Returns the header's words by their key in small letters, and the number of the line of ``@data``."""
    header: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not _counts(line):
            continue
        key, *words = line.split()
        if key.lower() == "@data":
            return header, number
        if key[0] != "@":
            break
        header[key[1:].lower()] = " ".join(words)
    raise UserError(f"dataset.path: '{path}' is no .ts file: it has no header that ends with @data")


def _row(path: str, number: int, line: str) -> Row:
    """Reads a line of data."""
    *texts, label = line.split(":")
    try:
        values = [np.array(text.replace("?", "nan").split(","), dtype=np.float64) for text in texts]
    except ValueError:
        raise UserError(f"dataset.path: '{path}', line {number}: a value is no number") from None
    if not values or len({len(channel) for channel in values}) > 1:
        what = "channels of different lengths" if values else "no ':' between values and label"
        raise UserError(f"dataset.path: '{path}', line {number}: {what} (is the file cut off?)")
    x = np.stack(values)
    if (np.abs(x) > np.finfo(np.float32).max).any():
        raise UserError(f"dataset.path: '{path}', line {number}: a value is infinite or too large")
    return number, x.astype(np.float32), label.strip()


def _check_present(path: str, rows: Sequence[Row]) -> None:
    """Refuses a channel that is missing throughout."""
    for number, x, _ in rows:
        if (empty := np.isnan(x).all(axis=1)).any():
            raise UserError(f"dataset.path: '{path}', line {number}: channel {empty.argmax() + 1} is all missing")


def _check_shapes(path: str, header: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Refuses another number of channels than the first series has, and another length where all should be equal."""
    first = rows[0][1]
    num_channels = _number(header.get("dimensions"), len(first))
    equal = header.get("equallength", "").lower() == "true"
    length = _number(header.get("serieslength"), first.shape[1]) if equal else 0
    for number, x, _ in rows:
        if len(x) != num_channels:
            raise UserError(f"dataset.path: '{path}', line {number}: {len(x)} channels, not {num_channels}")
        if length and x.shape[1] != length:
            raise UserError(
                f"dataset.path: '{path}', line {number}: {x.shape[1]} values a channel, though @equalLength is true "
                f"and others have {length}"
            )


def _number(word: str | None, otherwise: int) -> int:
    return int(word) if word is not None and word.isdecimal() else otherwise


def _check_classes(path: str, known: Sequence[str], rows: Sequence[Row]) -> None:
    """Refuses a class that the header does not name, where it names some."""
    for number, _, label in rows:
        if known and label not in (*known, "?", ""):
            raise UserError(f"dataset.path: '{path}', line {number}: a class that @classLabel does not name")


def _check_alike(parts: Sequence[LabelledSeries]) -> None:
    first, last = parts[0], parts[-1]
    if (first.kind, len(first.x[0])) != (last.kind, len(last.x[0])):
        raise UserError(f"dataset.test_path: '{last.path}' has other channels or targets than '{first.path}'")


def _numbers(labels: Sequence[str]) -> pd.Series:
    """Returns labels as numbers where all that are known are."""
    words = pd.Series(labels, dtype=object).where(lambda label: ~label.isin(["?", ""]))
    numbers = pd.to_numeric(words, errors="coerce")
    return numbers if numbers.notna().equals(words.notna()) else words


def _task(table: pd.DataFrame) -> str:
    """Returns the task that the file's own header calls for; classes may well be spelt as numbers."""
    if "target" in table:
        return "regression"
    return "binary" if table["class"].nunique() == 2 else "multiclass"
