"""vitreous: efficient vision transformers to train on your own images, see into, search and combine.

    import vitreous as vt
    result = vt.train(data="flowers", model="eit_tiny")
    vt.predict(vt.load(result.run_dir), ["rose.jpg"])

Names are fetched from their modules when they are first used: `import vitreous` imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vitreous.errors import (
    ConfigError,
    DataError,
    DivergedError,
    ResumeMismatch,
    StoppedError,
    VerifyError,
    VitreousError,
)

if TYPE_CHECKING:
    from vitreous.analysis.cost import cost
    from vitreous.analysis.recording import record
    from vitreous.data.check import check_data
    from vitreous.evaluation.data_page import show_data
    from vitreous.evaluation.evaluate import evaluate
    from vitreous.evaluation.prediction import predict
    from vitreous.insight.analyze import analyze
    from vitreous.insight.report import report
    from vitreous.interop.authors import convert
    from vitreous.interop.model_folder import load
    from vitreous.models.catalog import config, list_models
    from vitreous.models.fold import fold
    from vitreous.models.turns import with_turns
    from vitreous.models.vision_transformer import build
    from vitreous.runs.difference import diff_runs
    from vitreous.runs.dry_run import plan_run
    from vitreous.runs.listing import list_runs
    from vitreous.runs.seeds import train_seeds
    from vitreous.searching.search import search
    from vitreous.training.train import train

    __version__: str

_HOMES = {
    "analyze": "vitreous.insight.analyze",
    "build": "vitreous.models.vision_transformer",
    "check_data": "vitreous.data.check",
    "config": "vitreous.models.catalog",
    "convert": "vitreous.interop.authors",
    "cost": "vitreous.analysis.cost",
    "diff_runs": "vitreous.runs.difference",
    "evaluate": "vitreous.evaluation.evaluate",
    "fold": "vitreous.models.fold",
    "list_models": "vitreous.models.catalog",
    "list_runs": "vitreous.runs.listing",
    "load": "vitreous.interop.model_folder",
    "plan_run": "vitreous.runs.dry_run",
    "predict": "vitreous.evaluation.prediction",
    "search": "vitreous.searching.search",
    "record": "vitreous.analysis.recording",
    "report": "vitreous.insight.report",
    "show_data": "vitreous.evaluation.data_page",
    "train": "vitreous.training.train",
    "train_seeds": "vitreous.runs.seeds",
    "with_turns": "vitreous.models.turns",
}

__all__ = [
    "ConfigError",
    "DataError",
    "DivergedError",
    "ResumeMismatch",
    "StoppedError",
    "VerifyError",
    "VitreousError",
    "__version__",
    "analyze",
    "build",
    "check_data",
    "config",
    "convert",
    "cost",
    "diff_runs",
    "evaluate",
    "fold",
    "list_models",
    "list_runs",
    "load",
    "plan_run",
    "predict",
    "record",
    "report",
    "search",
    "show_data",
    "train",
    "train_seeds",
    "with_turns",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("vitreous")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'vitreous' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
