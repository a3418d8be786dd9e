"""What is said on the terminal."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDE = 200  # columns where there is no terminal to fit

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
    """Prints a table, its first column and those of words (``left``) to the left and the others to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if index == 0 or column in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
