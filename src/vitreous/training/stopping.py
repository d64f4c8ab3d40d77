"""Which validation was the best, and when training ends because none is better any more.

    best       the highest value of the metric (the lowest of a loss), of the weights or their average; of
               equal values the lower validation loss, and of equal losses the earlier
    stopping   after `patience` validations in a row none of which was better than the best before them by
               more than `least`

What is counted is a function of the validations alone and is in every checkpoint, so a continued run ends at
the same step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitreous.errors import ConfigError, did_you_mean
from vitreous.training.plan import Plan
from vitreous.training.settings import Stopping
from vitreous.training.tally import headline_of

OF_ONE_CLASS = ("val/top1", "val/top5", "val/f1_macro", "val/loss")
OF_ANY_NUMBER = ("val/map", "val/f1_macro", "val/f1_micro", "val/exact", "val/loss")
METRICS = tuple(dict.fromkeys(("auto", *OF_ONE_CLASS, *OF_ANY_NUMBER)))
SMALLER_IS_BETTER = ("loss",)
Found = Mapping[str, float]


def check_stopping(stopping: Stopping) -> None:
    """Look at every value that has a range.

    Raises:
        ConfigError: the first that cannot be used.
    """
    if stopping.metric not in METRICS:
        near = did_you_mean(stopping.metric, METRICS) or f"; {', '.join(METRICS)} work"
        raise ConfigError(f"stopping.metric {stopping.metric} is unknown{near}")
    if stopping.patience is not None and stopping.patience < 1:
        raise ConfigError(f"stopping.patience {stopping.patience}: 1 or more validations work")
    if stopping.least < 0:
        raise ConfigError(f"stopping.least {stopping.least} is negative; 0 or more work")


def check_metric(stopping: Stopping, *, multi_label: bool) -> None:
    """Raises ConfigError for a metric that images of this kind do not have."""
    known = OF_ANY_NUMBER if multi_label else OF_ONE_CLASS
    if stopping.metric not in ("auto", *known):
        kind = "any number of classes" if multi_label else "one class"
        raise ConfigError(
            f"stopping.metric {stopping.metric} is not measured on images of {kind} each; "
            f"{', '.join(known)} are"
        )


def metric_of(stopping: Stopping, found: Mapping[str, Any]) -> str:
    """The metric's name among those that a validation found; `auto` is the one that stands for them."""
    if stopping.metric == "auto":
        return headline_of(found)
    return stopping.metric.removeprefix("val/")


@dataclass
class Judge:
    """Compares validations.

    Args:
        stopping: by which metric, and when to stop.
        metric: its name, known from the first validation on.
        reference: the value that has to be surpassed.
        waited: validations since it was.
    """

    stopping: Stopping
    metric: str = ""
    reference: float | None = None
    waited: int = 0

    def better(self, found: Found, best: Mapping[str, Any] | None) -> bool:
        """Whether weights that were validated as `found` are better than the `best` before."""
        return best is None or self._rank(found) > self._rank(best)

    def count(self, candidates: Sequence[Found]) -> None:
        """Take note of one validation, of the weights and of their average."""
        value = max(self._value(found) for found in candidates)
        if self.reference is None or value > self.reference + self.stopping.least:
            self.reference, self.waited = value, 0
        else:
            self.waited += 1

    @property
    def ended(self) -> str | None:
        """Why training is over, None while it is not."""
        patience = self.stopping.patience
        if patience is None or self.waited < patience:
            return None
        by = f" by more than {self.stopping.least:g}" if self.stopping.least else ""
        validations = f"{self.waited} validation{'s' * (self.waited > 1)}"
        return f"val/{self.metric} did not get better{by} in {validations}"

    def state(self) -> list[Any]:
        """What a checkpoint has to hold."""
        return [self.reference, self.waited, self.metric]

    def restore(self, state: list[Any] | None) -> None:
        """Go on from what `state` gave."""
        self.reference, self.waited, self.metric = state or (None, 0, "")

    def _rank(self, found: Mapping[str, Any]) -> tuple[float, float]:
        return self._value(found), -found["loss"]

    def _value(self, found: Mapping[str, Any]) -> float:
        """The metric, turned so that larger is better."""
        self.metric = metric_of(self.stopping, found)
        value = float(found[self.metric])
        return -value if self.metric in SMALLER_IS_BETTER else value


def stopping_sentence(judge: Judge, step: int, plan: Plan, lr: float) -> str:
    """What is said where training ends before its schedule.

    Args:
        judge: knows why.
        step: steps that were taken.
        plan: of the run.
        lr: of the last step.
    """
    return (
        f"stopped early at epoch {step / plan.steps_per_epoch:.4g} of {plan.epochs:.4g}: {judge.ended}; the "
        f"learning rate was still at {100 * lr / plan.lr:.0f} % of its peak, and a schedule of fewer "
        "--epochs, which ends low, usually gives more"
    )
