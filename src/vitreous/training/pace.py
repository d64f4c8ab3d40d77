"""A run that would end after its `--time` leaves steps out, evenly, so that its schedule comes to its end.

How many steps fit is measured when a run begins, and a machine that gets slower later (heat, other programs)
would make it late. As everything that a step does is a function of its number, a step that is left out takes
its batch and its place on the schedule with it, and nothing else moves. Steps are never added: a machine that
gets faster again takes all that are left. Ours.
"""

import math
from dataclasses import dataclass

from vitreous.training.plan import Plan
from vitreous.training.settings import TrainSettings
from vitreous.training.time_budget import FINISH_S, parse_time

MARGIN = 0.02  # of all steps: smaller differences are noise
FEWEST = 20  # steps that a mean is taken of


@dataclass
class Pace:
    """Which of the steps of a run are taken.

    Args:
        budget_s: seconds that the run may take.
        total_steps: of its schedule.
        since: the step from which on `take` of the rest are taken.
        take: how many.
    """

    budget_s: float
    total_steps: int
    since: int = 0
    take: int = 0

    def __post_init__(self) -> None:
        self.take = self.take or self.total_steps

    def takes(self, step: int) -> bool:
        """Whether a step is taken; the last one always is."""
        return self._taken_before(step + 1) > self._taken_before(step)

    def left(self, step: int) -> int:
        """How many of the steps from this one on are taken."""
        return self.take - self._taken_before(step)

    def adjust(
        self, step: int, *, spent_s: float, step_s: float, validation_s: float, eval_steps: int
    ) -> bool:
        """Take as many of the steps from this one on as fit; returns whether that is a change.

        Args:
            step: the next one.
            spent_s: of the budget.
            step_s: of one step.
            validation_s: of one validation of all weights that are validated.
            eval_steps: steps between validations; two more come at the end, of the last and of the best.
        """
        rest = self.total_steps - step
        validations = rest // eval_steps + 2
        left_s = self.budget_s - spent_s - validations * validation_s - FINISH_S
        fits = max(1, min(rest, math.floor(left_s / step_s)))
        if abs(fits - self.left(step)) <= MARGIN * self.total_steps:
            return False
        self.since, self.take = step, fits
        return True

    def _taken_before(self, step: int) -> int:
        return (step - self.since) * self.take // (self.total_steps - self.since)


def make_pace(settings: TrainSettings, plan: Plan, earlier_s: float) -> Pace | None:
    """The pace of a run with a `--time`, None for one without.

    Args:
        settings: of the run.
        plan: with its length.
        earlier_s: of the time that passed before this process began.
    """
    return None if settings.time is None else Pace(parse_time(settings.time) - earlier_s, plan.total_steps)


def left_out(taken: int, step: int) -> str:
    """What of a run's steps up to one was left out, as a clause; empty where nothing was."""
    return f", {step - taken:,} of {step:,} steps left out for time" if taken < step else ""
