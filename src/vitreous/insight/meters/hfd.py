"""High-frequency share of what each mixer is given, and its radial spectrum."""

from vitreous.analysis.seen import INPUT, Features
from vitreous.analysis.spectrum import (
    CUTOFF,
    has_low_frequencies,
    high_frequency_shares,
    radial_spectrum,
    white_noise_share,
)
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Means, Meter, Setting, trend
from vitreous.wording import first_few

NAME = "hfd"
TITLE = "High-frequency share"
HOW = (
    "The share of a layer's detail (2-D spectrum of each channel over the grid, mean left out) above "
    "half of Nyquist. 0 is smooth, the noise line is what pure noise gives. EIT's claim: convolutions "
    "beside attention keep it high. Compare only models with the same grid."
)
BINS = 8


class HighFrequencies(Meter):
    """All channels, and the slice that attention works on."""

    kinds = (INPUT,)

    def __init__(self) -> None:
        self.all, self.slice, self.rings = Means(), Means(), Means()
        self.grids: dict[str, tuple[int, int]] = {}
        self.small: list[str] = []  # without a frequency that is low

    def features(self, seen: Features) -> None:
        """Shares of one batch."""
        if seen.kind != INPUT or seen.grid is None:
            return
        if not has_low_frequencies(*seen.grid):
            if seen.name not in self.small:
                self.small.append(seen.name)
            return
        maps = seen.patches.transpose(1, 2).unflatten(2, seen.grid)
        shares = high_frequency_shares(maps)
        self.all.add(seen.name, shares.mean(dim=1))
        if seen.attention_channels is not None:
            first, last = seen.attention_channels
            self.slice.add(seen.name, shares[:, first:last].mean(dim=1))
        rings = radial_spectrum(maps, bins=BINS)
        self.rings.add(seen.name, rings[None].expand(len(maps), -1))
        self.grids[seen.name] = seen.grid

    def finding(self, setting: Setting) -> Finding:
        """By layer."""
        names = self.all.names
        if not names and self.small:
            return Finding({}, f"There is nothing to tell: {self._too_small()}.")
        if not names:
            return Finding({}, "No mixer works on a grid of tokens, so there is no spectrum over places.")
        values = self.all.listed()
        floors = [white_noise_share(*self.grids[name]) for name in names]
        found = {
            "layers": names,
            "share": values,
            "noise": floors,
            "cutoff": CUTOFF,
            "grids": [self.grids[n] for n in names],
            "attention_slice": {name: float(self.slice.of(name)) for name in self.slice.names},
            "spectrum": {name: self.rings.of(name).tolist() for name in names},
        }
        shows = f"{trend(values, 'The share')}; noise would have {floors[0]:.2f}"
        if f"{floors[-1]:.2f}" != f"{floors[0]:.2f}":
            shows += f" and {floors[-1]:.2f}"
        shows += f"; {self._too_small()}." if self.small else "."
        x = tuple((ring + 0.5) / 2 / BINS for ring in range(BINS))
        some = [names[0], names[len(names) // 2], names[-1]]
        lines = tuple(Line(name, x, tuple(self.rings.of(name).tolist())) for name in dict.fromkeys(some))
        chart = Lines(
            title="Power by frequency", x="cycles a token", y="share of power", lines=lines, log=True
        )
        return Finding(found, shows, (chart,))

    def _too_small(self) -> str:
        """Which layers are left out, and why."""
        return f"below 4 × 4 places all frequencies are high, as in {first_few(self.small, 6)}"
