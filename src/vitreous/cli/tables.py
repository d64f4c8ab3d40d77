"""Tables for a terminal: names to the left, numbers to the right, plain when the output is a file."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> None:
    """Print rows under a header line.

    Args:
        columns: headers.
        rows: cells as text.
        names: how many columns from the left are names, the others numbers.
    """
    console = Console(highlight=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < names else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    # a line is never cut: what is piped on must be whole
    console.print(table, width=max(console.width, console.measure(table).maximum), crop=False)


def percent(share: float) -> str:
    """A fraction as per cent: 0.98222 → `98.22 %`."""
    return f"{100 * share:.2f} %"
