"""What can be wrong with settings alone, said before images are opened."""

from vitreous.errors import ConfigError
from vitreous.searching.budget import parse_budget
from vitreous.searching.settings import SearchSettings
from vitreous.searching.worth import FEWEST
from vitreous.training.time_budget import parse_time


def check_settings(settings: SearchSettings) -> None:
    """Look at what needs neither images nor space.

    Raises:
        ConfigError: what cannot be used.
    """
    if not settings.data:
        raise ConfigError("search needs images: --data FOLDER; --data digits to try it out")
    parse_budget(settings.budget)
    if settings.time is not None:
        parse_time(settings.time)
        for name, value in (
            ("--supernet.epochs", settings.supernet.epochs),
            ("--retrain-epochs", settings.retrain_epochs),
        ):
            if value != "auto":
                raise ConfigError(f"{name} and --time both say how long; leave one out")
    if settings.seed < 0:
        raise ConfigError(f"--seed {settings.seed}: 0 or more works")
    if settings.winners < 1:
        raise ConfigError(f"--winners {settings.winners}: at least the best is retrained; 1 or more works")
    if settings.devices < 1:
        raise ConfigError(f"--devices {settings.devices}: 1 or more processes work")
    if settings.worker and settings.devices > 1:
        raise ConfigError("--worker is one process; leave --devices out and start several")
    if settings.timeout_s <= 0:
        raise ConfigError(f"--timeout-s {settings.timeout_s}: a positive number of seconds works")
    if settings.latency_batch < 1:
        raise ConfigError(f"--latency-batch {settings.latency_batch}: 1 or more works")
    if settings.correlate and settings.correlate < FEWEST:
        raise ConfigError(
            f"--correlate {settings.correlate}: a rank correlation of fewer than {FEWEST} says nothing; "
            f"{FEWEST} or more works, 0 for none"
        )
    given = settings.evolution
    for name in ("population", "parents"):
        if getattr(given, name) < 2:
            raise ConfigError(f"--evolution.{name} {getattr(given, name)}: 2 or more works")
    if given.generations != "auto" and given.generations < 0:
        raise ConfigError(f"--evolution.generations {given.generations}: 0 or more works")
    if min(given.crossover, given.mutation) < 0 or given.crossover + given.mutation > given.population:
        raise ConfigError(
            f"--evolution: {given.crossover} by crossover and {given.mutation} by mutation do not fit into a "
            f"population of {given.population}; together at most that many work"
        )
    for name in ("mutate", "mutate_place"):
        if not 0 <= getattr(given, name) <= 1:
            raise ConfigError(f"--evolution.{name} {getattr(given, name)}: 0 to 1 works")
    for name in ("mixed_depth", "progressive_size"):
        if getattr(settings.recipe, name) not in (None, "none"):
            raise ConfigError(f"recipe.{name} does not work with a supernet; leave it out")
    if settings.recipe.accumulate != 1:
        raise ConfigError("recipe.accumulate does not work with a supernet; leave it out")
