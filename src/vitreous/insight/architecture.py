"""A model as a drawing: a bar a layer, as wide as it has tokens, how they meet, and who takes whose map.

    ╭● layers.0   ▇▇▇▇▇▇▇▇   attention          64 × 48
    ╰◦ layers.1   ▇▇▇▇▇▇▇▇   shared attention   64 × 48
       layers.2     ▇▇▇▇     pool, attention    16 × 96

The width of a bar is the square root of the number of tokens, which is the side of their grid. Of a very deep
model, layers in a row that are alike are one bar that says how many they are.
"""

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from vitreous.analysis.cost import cost
from vitreous.analysis.how_tokens_meet import how_tokens_meet
from vitreous.models.vision_transformer import VisionTransformer

MOST_ROWS = 48
WIDTH, ROW, TOP = 420, 22, 6
NAME, BAR, MEET = 40, 152, 206  # left end of the name, middle of the bar, left end of the words
WIDEST, LETTERS = 88, 24


@dataclass(frozen=True)
class Row:
    """A layer, or several alike: how tokens meet, tokens and width that leave it, whose map it takes."""

    name: str
    meet: str
    tokens: int
    width: int
    takes: str = ""
    lends: bool = False


def rows_of(config: VisionTransformer) -> list[Row]:
    """Stem, layers and head of a model, in order."""
    found = []
    for each in cost(config).by_layer:
        kind, _, number = each.name.partition(".")
        if kind in ("prefix", "position"):
            continue
        part: Any = config.layers[int(number)] if number else getattr(config, kind)
        words = each.shares.split("; ")
        takes = next((word.removeprefix("map of ") for word in words if word.startswith("map of ")), "")
        meet = how_tokens_meet(part) if number else type(part).__name__
        found.append(Row(each.name, meet, each.tokens, each.width, takes, "lends its map" in words))
    return found if len(found) <= MOST_ROWS else _shortened(found)


def drawing(config: VisionTransformer) -> Markup:
    """The drawing, with all of it in words as its label."""
    rows = rows_of(config)
    at = {each.name: TOP + ROW * number + ROW // 2 for number, each in enumerate(rows)}
    most = math.sqrt(max(each.tokens for each in rows))
    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            WIDTH, TOP * 2 + ROW * len(rows), in_words(rows)
        )
    ]
    for row in rows:
        y = at[row.name]
        wide = max(3.0, WIDEST * math.sqrt(row.tokens) / most)
        parts.append(
            Markup(
                '<g><title>{}</title><text x="{}" y="{}">{}</text>'
                '<rect class="tokens{}" x="{:.1f}" y="{}" width="{:.1f}" height="14" rx="2"/>'
                '<text x="{}" y="{}">{}</text><text x="{}" y="{}" class="end name">{}</text></g>'
            ).format(
                _told(row), NAME, y + 4, _short(row.name, 11), " shared" if row.takes else "",
                BAR - wide / 2, y - 7, wide, MEET, y + 4, _short(row.meet, LETTERS),
                WIDTH, y + 4, f"{row.tokens:,} × {row.width}",
            )
        )  # fmt: skip
        if row.takes in at:
            parts.append(_arc(at[row.takes], y))
    parts += [
        Markup('<circle class="lends" cx="34" cy="{}" r="3.2"/>').format(at[e.name]) for e in rows if e.lends
    ]
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def in_words(rows: list[Row]) -> str:
    """The drawing as a sentence for those who cannot see it."""
    return "The model layer by layer. " + ". ".join(map(_told, rows)) + "."


def _told(row: Row) -> str:
    told = f"{row.name}: {row.meet or 'no meeting of tokens'}, {row.tokens:,} tokens of {row.width}"
    if row.takes:
        return f"{told}, with the map of {row.takes}"
    return f"{told}, lends its map" if row.lends else told


def _arc(lender: int, taker: int) -> Markup:
    """From the lender down to the one that takes, further left the further they are apart."""
    left = max(4, 28 - (taker - lender) // ROW * 5)
    return Markup(
        '<path class="arc" d="M34 {} C{left} {}, {left} {}, 34 {}"/>'
        '<circle class="takes" cx="34" cy="{}" r="2.4"/>'
    ).format(lender, lender, taker, taker, taker, left=left)


def _shortened(rows: list[Row]) -> list[Row]:
    """Runs of layers that are alike as one row each, and of what is still too long the two ends."""
    short = []
    for _, run in groupby(rows, key=lambda it: (it.meet, it.tokens, it.width, bool(it.takes), it.lends)):
        alike = list(run)
        if len(alike) < 3:
            short += alike
            continue
        first, last = alike[0], alike[-1]
        name = f"{first.name}–{last.name.rpartition('.')[2]}"
        short.append(Row(name, f"{len(alike):,} × {first.meet}", first.tokens, first.width, "", first.lends))
    if len(short) <= MOST_ROWS:
        return short
    left_out = len(short) - MOST_ROWS + 1
    half = MOST_ROWS // 2
    between = Row("…", f"{left_out:,} rows between", short[half].tokens, short[half].width)
    return [*short[:half], between, *short[half + left_out :]]


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"
