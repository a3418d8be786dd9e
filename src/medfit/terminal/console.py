"""What is said on the terminal."""

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


def show_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Prints a table, its first column to the left and the others to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
