"""Tables for a terminal or a pipe: names to the left, numbers to the right, no line ever cut."""

from collections.abc import Sequence

from rich.cells import cell_len


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1, remarks: int = 0
) -> None:
    """Print rows under a header line.

    Args:
        columns: headers.
        rows: cells as text.
        names: how many columns from the left are names, the others numbers.
        remarks: how many columns from the right are texts.
    """
    lines = [columns, *rows]
    # in cells of a terminal: a Chinese letter takes two
    widths = [max(cell_len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        cells = []
        for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            text = place < names or place >= len(columns) - remarks
            cells.append(cell + space if text else space + cell)
        print("  ".join(cells).rstrip())


def percent(share: float) -> str:
    """A fraction as per cent: 0.98222 → `98.22 %`."""
    return f"{100 * share:.2f} %"
