"""High-frequency share of what each mixer is given, and its radial spectrum."""

from vitreous.analysis.seen import INPUT, Features
from vitreous.analysis.spectrum import CUTOFF, high_frequency_shares, radial_spectrum, white_noise_share
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Means, Meter, Setting, trend

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

    def features(self, seen: Features) -> None:
        """Shares of one batch."""
        if seen.kind != INPUT or seen.grid is None or min(seen.grid) < 2:
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
        shows = f"{trend(values, 'The share')}; noise would have {floors[0]:.2f}."
        x = tuple((ring + 0.5) / 2 / BINS for ring in range(BINS))
        some = [names[0], names[len(names) // 2], names[-1]]
        lines = tuple(Line(name, x, tuple(self.rings.of(name).tolist())) for name in dict.fromkeys(some))
        chart = Lines(
            title="Power by frequency", x="cycles a token", y="share of power", lines=lines, log=True
        )
        return Finding(found, shows, (chart,))
