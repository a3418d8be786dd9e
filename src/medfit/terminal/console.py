"""What is said on the terminal."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDE = 200  # columns where there is no terminal to fit
GAP = 2  # blanks between columns
NUMBER = re.compile(r"[<±+-]?\s*\.?\d")  # that a cell begins with

console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:
    console = Console(highlight=False, soft_wrap=True, width=WIDE)


def say(text: str) -> None:
    """Prints a line."""
    console.print(text, markup=False)


@contextmanager
def silent() -> Iterator[None]:
    """Says nothing inside."""
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


def show_table(title: str, columns: list[str], rows: list[list[str]], left: Collection[str] = ()) -> None:
    """Prints a table, its first column and those of words (``left``) to the left and the others to the right.

    One that is too wide for the terminal is printed in parts, one below another, so that no number is divided; only a
    table with columns of words is not, as words may stand in several lines.
    """
    for number, part in enumerate([list(range(len(columns)))] if left else _parts(columns, rows, console.width)):
        table = Table(title=None if number else title, title_justify="left", box=None, pad_edge=False)
        for place in part:
            of_words = place == 0 or columns[place] in left
            table.add_column(
                escape(columns[place]),
                header_style="bold",
                justify="left" if of_words else "right",
                overflow="fold",
                no_wrap=bool(left) and not of_words,
            )
        for row in rows:
            table.add_row(*(escape(row[place]) for place in part))
        if number:
            console.print()
        console.print(table)


def _parts(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """Returns the places of the columns that fit beside each other, those that name the rows in each part.

    Args:
        columns: Their names.
        rows: Of cells.
        width: Of the terminal.
    """
    sizes = [GAP + max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    names = _names(columns, rows)
    if sum(sizes) > width + GAP and max(sizes) + sum(sizes[place] for place in names) > width + GAP:
        names = names[:1]
    parts: list[list[int]] = [names[:]]
    for place in range(len(names), len(columns)):
        if len(parts[-1]) > len(names) and sum(sizes[p] for p in parts[-1]) + sizes[place] > width + GAP:
            parts.append(names[:])
        parts[-1].append(place)
    return parts


def _names(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Returns the places of the first column and of those behind it that hold words, which say what a row is."""
    count = 1
    while count < len(columns) - 1 and (
        not columns[count] or not any(NUMBER.match(row[count]) or row[count] == "–" for row in rows)
    ):
        count += 1
    return list(range(count))
