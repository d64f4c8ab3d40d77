"""The least time that a search needs, said before anything is trained.

    supernet     half a pass over its images                                         in a half of the time
    evolution    FEWEST candidates, as many again where a random search is compared  in a fifth
    correlation  for each network what retraining has                                in a fifth
    retraining   half a pass for each network, and OWN_S for its own beginning and end

What a pass and a candidate take is measured on this machine. Ours: less would train nothing worth ranking.
"""

import math
from dataclasses import dataclass

from vitreous.searching.budget import BudgetError
from vitreous.searching.clock import CORRELATION, EVOLUTION, SUPERNET, Clock
from vitreous.training.time_budget import FINISH_S

FEWEST = 8
PART = 0.5  # of a pass
OWN_S = 2 * FINISH_S
MARGIN = 1.1  # what is proposed works although the next start may be slower


@dataclass(frozen=True)
class Pace:
    """What was measured, and how much of it a search asks for.

    Args:
        pass_s: seconds that a pass of the supernet over its images takes.
        candidate_s: seconds that a candidate takes.
        networks: to be retrained.
        compare: whether a random search is compared.
        correlate: short runs.
    """

    pass_s: float
    candidate_s: float
    networks: int
    compare: bool = False
    correlate: int = 0


def least_s(pace: Pace) -> float:
    """Free seconds below which a phase could not do the least."""
    each = PART * pace.pass_s + OWN_S
    others = CORRELATION if pace.correlate else 0.0
    return max(
        PART * pace.pass_s / SUPERNET,
        FEWEST * pace.candidate_s * (2 if pace.compare else 1) / EVOLUTION,
        pace.correlate * each / CORRELATION,
        pace.networks * each / (1 - SUPERNET - EVOLUTION - others),
    )


def check_time(clock: Clock, pace: Pace, given: str) -> None:
    """Refuse a time in which a search cannot be made.

    Args:
        clock: with a time.
        pace: measured.
        given: that time as it was written.

    Raises:
        BudgetError: says how much is needed.
    """
    needed = least_s(pace)
    short = needed - clock.left_s
    if short <= 0:
        return
    assert clock.given_s is not None
    raise BudgetError(
        f"--time {given} is too short for this search: reading and measuring took {clock.spent_s:.0f} s; "
        f"half a pass of the supernet, {FEWEST} candidates and half a pass of each network ("
        f"{pace.networks + pace.correlate}), in their shares of the time, take {needed:.0f} s more "
        f"on this machine; --time {_rounded_up(MARGIN * (clock.given_s + short))} works"
    )


def _rounded_up(seconds: float) -> str:
    if seconds < 120:
        return f"{5 * math.ceil(seconds / 5)}s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes}m" if minutes < 120 else f"{math.ceil(minutes / 60)}h"
