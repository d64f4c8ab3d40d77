"""What every phase of a search is given: the settings, and all that was decided from them before."""

from dataclasses import dataclass

from vitreous.data.images import ImageData
from vitreous.searching.budget import Budget
from vitreous.searching.clock import Clock
from vitreous.searching.folder import SearchFolder
from vitreous.searching.settings import SearchSettings
from vitreous.searching.space import Space
from vitreous.training.plan import Plan
from vitreous.training.world import World


@dataclass(frozen=True)
class Task:
    """A search that is under way.

    Args:
        settings: as given.
        folder: open.
        clock: runs since the command began.
        world: the processes that search together; the first one decides and writes.
        budget: of the models.
        data: of `open_search_data`: split `train` trains the supernet, `val` chooses candidates.
        space_name: name or file, chosen where it was `auto`.
        space: what is searched.
        plan: how the supernet is trained; with `time`, `total_steps` is 0 until a step was measured.
    """

    settings: SearchSettings
    folder: SearchFolder
    clock: Clock
    world: World
    budget: Budget
    data: ImageData
    space_name: str
    space: Space
    plan: Plan

    @property
    def device(self) -> str:
        """The device of all processes."""
        return self.plan.device if self.world.alone else self.plan.device.partition(":")[0]
