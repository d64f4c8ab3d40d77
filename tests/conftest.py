"""Options and fixtures for all tests."""

import pytest

CHECKED = [
    "vitreous.parts",
    "vitreous.models",
    *(f"vitreous.data.{module}" for module in ("augment", "crop", "erase", "preprocessing")),
]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--check-shapes",
        action="store_true",
        help="check every annotated shape of parts, models and data at run time (eager only)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--check-shapes"):
        from jaxtyping import install_import_hook

        from tests import shape_checks  # found by its name below, which only works once it is imported

        install_import_hook(CHECKED, f"{shape_checks.__name__}.checked")


@pytest.fixture(scope="session")
def without_shape_checks(request: pytest.FixtureRequest) -> None:
    """For tests that trace a model, or that pass wrong types on purpose to see our own sentence."""
    if request.config.getoption("--check-shapes"):
        pytest.skip("run-time shape checks cannot be traced, and meet wrong types first")
