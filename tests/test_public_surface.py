"""`import vitreous`: the names that others rely on, there at once, light, and never shadowed."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import vitreous

FUNCTIONS = [
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
    "search",
    "record",
    "report",
    "show_data",
    "train",
    "train_seeds",
    "with_turns",
]
ERRORS = {
    "VitreousError": 1,
    "ConfigError": 2,
    "ResumeMismatch": 2,
    "DataError": 3,
    "DivergedError": 4,
    "VerifyError": 5,
    "StoppedError": 75,
}


def test_every_public_name_is_still_the_function_after_every_submodule_was_imported() -> None:
    for module in pkgutil.walk_packages(vitreous.__path__, "vitreous."):
        if module.name != "vitreous.__main__":
            importlib.import_module(module.name)
    for name in FUNCTIONS:
        assert inspect.isfunction(getattr(vitreous, name)), name
        assert name in dir(vitreous) and name in vitreous.__all__


def test_the_functions_take_what_the_first_example_gives_them() -> None:
    for name, given in {
        "config": ["image_size", "classes"],
        "train": ["data", "model", "out", "epochs", "seed"],
        "load": ["path"],
        "convert": ["file", "name", "out"],
    }.items():
        assert set(given) <= set(inspect.signature(getattr(vitreous, name)).parameters)


@pytest.mark.parametrize(("name", "code"), ERRORS.items())
def test_every_error_is_public_and_has_its_exit_code(name: str, code: int) -> None:
    error = getattr(vitreous, name)
    assert issubclass(error, vitreous.VitreousError) and error.exit_code == code


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'vitreous' has no attribute 'trian'"):
        vitreous.trian  # noqa: B018


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = (
        "import sys, vitreous; dir(vitreous); vitreous.__version__; vitreous.VitreousError;"
        "print({'torch', 'numpy', 'timm', 'matplotlib', 'sklearn'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
