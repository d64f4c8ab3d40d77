"""Imports point one way: what is on the left knows nothing of what is on the right."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "vitreous"
ALLOWED = {
    "errors": set(),
    "parts": {"errors"},
    "models": {"errors", "parts"},
    "wording": set(),
    "data": {"errors", "wording"},
    "redaction": {"errors"},
    "recipes": {"errors"},
    "configuration": {"errors", "recipes"},
    "interop": {"errors", "redaction", "parts", "models", "data"},
    "analysis": {"errors", "redaction", "parts", "models", "data"},
}
ALLOWED["training"] = {*ALLOWED}
ALLOWED["evaluation"] = {*ALLOWED}
ALLOWED["runs"] = {*ALLOWED}
ALLOWED["searching"] = {*ALLOWED} - {"evaluation", "runs"}
ALLOWED["insight"] = {*ALLOWED}
ALLOWED["cli"] = {*ALLOWED}
OUTSIDE = {"parts": {"torch", "jaxtyping"}, "models": {"torch", "jaxtyping"}}


def imported(file: Path) -> set[str]:
    """Full names of the modules that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide where things are"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules() -> list[Path]:
    return sorted(file for file in SOURCE.rglob("*.py") if file.parent != SOURCE)


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_imports_only_point_to_the_left(file: Path) -> None:
    package = file.relative_to(SOURCE).parts[0]
    for name in imported(file):
        if name.startswith("vitreous."):
            other = name.split(".")[1]
            if other in {"VitreousError", "__version__"} or not (
                (SOURCE / other).is_dir() or (SOURCE / f"{other}.py").exists()
            ):
                continue  # a name of the package itself
            assert other in ALLOWED[package] | {package}, f"{file} imports {name}"


@pytest.mark.parametrize(
    "file",
    [file for file in modules() if file.relative_to(SOURCE).parts[0] in OUTSIDE],
    ids=lambda file: file.relative_to(SOURCE).as_posix(),
)
def test_parts_and_models_need_torch_alone(file: Path) -> None:
    import sys

    package = file.relative_to(SOURCE).parts[0]
    for name in imported(file):
        root = name.split(".")[0]
        assert root == "vitreous" or root in OUTSIDE[package] | sys.stdlib_module_names, (
            f"{file} imports {name}"
        )


def test_every_package_has_its_place_in_the_order() -> None:
    packages = {each.name for each in SOURCE.iterdir() if each.is_dir() and each.name != "__pycache__"}
    assert packages <= set(ALLOWED)
