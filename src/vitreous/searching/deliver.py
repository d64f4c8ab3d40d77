"""The model folder of the best network, whole or not there."""

import shutil
from pathlib import Path


def delivered(trained: Path, model: Path) -> None:
    """Copy a model folder, aside first: a kill leaves no half of it.

    Args:
        trained: to copy.
        model: where to; what is there is replaced.
    """
    aside = model.with_name(f"{model.name}.writing")
    for each in (aside, model):
        if each.exists():
            shutil.rmtree(each)
    shutil.copytree(trained, aside)
    aside.rename(model)
