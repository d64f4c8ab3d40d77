"""How far rankings agree with a short retraining of candidates from the whole ranking."""

from vitreous.searching.evolution_phase import Found
from vitreous.searching.ledger import Candidate
from vitreous.searching.retrain import retrain, seconds_each
from vitreous.searching.task import Task
from vitreous.searching.worth import Agreement, agreement, snip
from vitreous.training.assemble import make_train_batches


def correlated(task: Task, found: Found) -> dict[str, Agreement]:
    """Rankings by name, each with its agreement; {} where it is not asked for. Raises what `train` raises."""
    if not task.settings.correlate:
        return {}
    with task.clock.phase("correlation"):
        chosen = _spread(found.whole, task.settings.correlate)
        proxies = task.world.by_first(lambda: _proxies(task, chosen))
        reached = _reached(task, chosen)
    return {
        "supernet score": agreement([each.top1 or 0.0 for each in chosen], reached),
        "MACs alone": agreement([each.macs for each in chosen], reached),
        "parameters alone": agreement([each.params for each in chosen], reached),
        "SNIP (Abdelfattah et al., ICLR 2021)": agreement(proxies, reached),
    }


def _spread(ranked: list[Candidate], count: int) -> list[Candidate]:
    """Candidates evenly over the ranking, the first and the last among them."""
    count = min(count, len(ranked))
    places = [round(number * (len(ranked) - 1) / max(1, count - 1)) for number in range(count)]
    return [ranked[place] for place in dict.fromkeys(places)]


def _proxies(task: Task, chosen: list[Candidate]) -> list[float]:
    batch = next(make_train_batches(task.plan, task.data, task.settings.loading).from_step(0))
    images = task.plan.preprocessing.normalize(batch.images)
    return [snip(task.space.resolve(each.genome), images, batch.labels) for each in chosen]


def _reached(task: Task, chosen: list[Candidate]) -> list[float]:
    seconds = task.world.by_first(lambda: seconds_each(task, "correlate_s", len(chosen)))
    return [
        retrain(
            task, task.space.resolve(each.genome), f"correlation {number}", candidate=each,
            epochs=task.settings.correlate_epochs, seconds=seconds,
        ).top1
        for number, each in enumerate(chosen, start=1)
    ]  # fmt: skip
