"""What every data set that reads a user's table takes of it, and the one way in which that is followed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, Unpack

import pandas as pd
from pydantic import Field

from medfit.data.datasets.questions import by_rule, check_follow_up
from medfit.data.datasets.roles import check_columns, take_roles
from medfit.data.datasets.spelled_numbers import Way, parsed
from medfit.data.datasets.suspects import folded
from medfit.data.readers.cells import MissingValues, Thousands
from medfit.data.readers.files import read_table
from medfit.errors import UserError

Targets = str | Sequence[str] | None
READING = (
    "encoding", "decimal", "thousands", "missing_values", "missing_in", "missing_words", "sheet", "skip_rows",
)  # fmt: skip


class Options(TypedDict, total=False):
    """Options of a user's table, whatever its rows are; ``conf/table_options.yaml`` has them with their defaults.

    Attributes:
        target_kind: ``binary``, ``multiclass``, ``multilabel`` or ``regression``, where it is guessed wrong.
        positive: The positive value of a binary target; None for the larger of the two.
        target_rule: A question to a column in the place of a target, as ``num > 0``.
        time_to_event: ``plain`` takes times and events as they stand, where they would be refused.
        fold_case: Whether words that differ by case or spaces alone are one.
        parse: Of columns that spell numbers in words: ``number`` (with a unit), ``censored`` (``<0.1``), ``pair``
            (``120/80``) or ``date``, as :func:`medfit.data.datasets.spelled_numbers.parsed` reads them.
        missing_values: Cells that mean "missing", besides empty ones and the usual words.
        missing_in: Cells that do in a column alone, as ``{age: [999]}``.
        missing_words: Whether the usual words (``NA``, ``NaN``, ``null``) mean "missing"; ``None`` does among numbers.
        decimal: The decimal mark of numbers in text.
        thousands: What groups the thousands of numbers in text; None where nothing does.
        encoding: Of a text file.
        sheet: Of a workbook, by name or number from 1; None for the first.
        skip_rows: How many rows stand above the names of the columns.
    """

    target_kind: Literal["binary", "multiclass", "multilabel", "regression"] | None
    positive: str | int | float | bool | None
    target_rule: str | None
    time_to_event: Literal["refuse", "plain"]
    fold_case: bool
    parse: Mapping[str, Way] | None
    missing_values: MissingValues
    missing_in: Mapping[str, MissingValues] | None
    missing_words: bool
    decimal: Literal[".", ","]
    thousands: Thousands | None
    encoding: str
    sheet: str | Annotated[int, Field(ge=1)] | None
    skip_rows: Annotated[int, Field(ge=0)]


class Asked(NamedTuple):
    """A table that says what it is asked.

    Args:
        table: With its numbers, words and questions as the options would have them.
        targets: Its columns that are the target.
        units: Of columns whose cells had one.
    """

    table: pd.DataFrame
    targets: list[str]
    units: dict[str, str]


class TableReader:
    """Reads a user's tables, and takes targets, patient and split out of them, as the options say."""

    def __init__(self, **options: Unpack[Options]) -> None:
        self._options: dict[str, Any] = dict(options)
        self._reading = {key: options[key] for key in READING if key in options}  # type: ignore[literal-required]

    def read(self, path: str | Path, key: str = "path", header: bool = True) -> pd.DataFrame:
        """Returns the table of a file.

        Args:
            path: Of the file, relative to where the command is run.
            key: Of the data set's options, that names the file in errors.
            header: Whether the first row of a text file names the columns; else they are named 0, 1 and so on.
        """
        try:
            return read_table(Path(path).expanduser(), header=header, **self._reading)
        except UserError as error:
            raise UserError(str(error).replace("dataset.path", f"dataset.{key}", 1)) from error

    @property
    def by_rule(self) -> bool:
        """Whether a question to a column takes the place of a target."""
        return self._options.get("target_rule") is not None

    def ask(
        self,
        table: pd.DataFrame,
        target: Targets,
        apart: Iterable[str | None] = (),
        left_out: Iterable[str] | None = None,
    ) -> Asked:
        """Returns a whole table with what it is asked.

        Args:
            table: All its files in one, so that a unit counts in all.
            target: Its column, or several; None with ``target_rule``.
            apart: Columns of names and moments, whose words stay as they are.
            left_out: Columns that are no features; None where no column is one.

        Raises:
            UserError: no target or two, columns that are not there, cells that can't be read as the options say, or a
                time to an event.
        """
        table, units = self.tidied(table, apart)
        table, targets = self._targets(table, target)
        check_columns(table, {"target": targets})
        if self._options.get("time_to_event", "refuse") == "refuse":
            check_follow_up(table, targets, table.columns if left_out is None else left_out)
        return Asked(table, targets, units)

    def tidied(self, table: pd.DataFrame, apart: Iterable[str | None] = ()) -> tuple[pd.DataFrame, dict[str, str]]:
        """Returns a whole table with its spelled numbers read and its words folded, where the options say so.

        Returns:
            The table, and the units that numbers had.
        """
        options = self._options
        check_columns(table, {key: options.get(key) for key in ("missing_in", "parse")})
        table, units = parsed(
            table, options.get("parse") or {}, options.get("decimal", "."), options.get("thousands")
        )  # fmt: skip
        if options.get("fold_case"):
            own = {*apart}
            table = table.apply(lambda column: column if column.name in own else folded(column))
        return table, units

    def _targets(self, table: pd.DataFrame, target: Targets) -> tuple[pd.DataFrame, list[str]]:
        rule = self._options.get("target_rule")
        if (target is None) == (rule is None):
            raise UserError("dataset.target is needed: give dataset.target=... or dataset.target_rule=..., one of them")
        if rule is not None:
            return by_rule(table, rule), [rule]
        return table, [target] if isinstance(target, str) else list(target or ())

    def roles(
        self, table: pd.DataFrame, target: str | list[str], patient: str | None, split: str | None
    ) -> tuple[pd.DataFrame, dict[str, Any], str]:
        """Takes targets, patient and split out of a table, as :func:`medfit.data.datasets.roles.take_roles` does."""
        options = self._options
        return take_roles(table, target, patient, split, options.get("target_kind"), options.get("positive"))
