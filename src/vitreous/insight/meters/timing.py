"""Time and memory of each layer."""

from typing import Any

from vitreous.analysis.layer_time import layer_times
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Meter, Setting

NAME = "time"
TITLE = "Time and memory by layer"
HOW = (
    "Milliseconds for a batch, median of several passes on this machine, and the bytes that a layer's "
    "modules give, which training keeps. Layers early in a pyramid hold most; what is dear in time need "
    "not be dear in MACs."
)
IMAGES = 16


class Timing(Meter):
    """The control costs the same and is not measured."""

    def finding(self, setting: Setting) -> Finding:
        """By layer."""
        if setting.control:
            return Finding({}, "An untrained model takes as long.")
        found = layer_times(setting.model, setting.few[:IMAGES])
        layers = found.layers
        values: dict[str, Any] = {
            "layers": [each.name for each in layers],
            "ms": [each.milliseconds for each in layers],
            "bytes": [each.activation_bytes for each in layers],
            "whole_ms": found.whole_ms,
            "batch": found.batch,
            "peak_bytes": found.peak_bytes,
            "device": str(setting.few.device),
        }
        slowest = max(layers, key=lambda each: each.milliseconds)
        shows = (
            f"{found.batch} images take {found.whole_ms:.1f} ms on {setting.few.device.type}; "
            f"{slowest.name} takes the most, {slowest.milliseconds:.1f} ms."
        )
        x = tuple(range(len(layers)))
        charts = (
            Lines(
                title="Time by layer",
                x="stem, layers, head",
                y="ms a batch",
                lines=(Line("time", x, tuple(values["ms"])),),
            ),
            Lines(
                title="Activations by layer",
                x="stem, layers, head",
                y="MB a batch",
                lines=(Line("memory", x, tuple(each / 1e6 for each in values["bytes"])),),
            ),
        )
        return Finding(values, shows, charts)
