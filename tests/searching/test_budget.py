"""Budgets as they are typed."""

import pytest

from vitreous.errors import ConfigError
from vitreous.searching.budget import Budget, BudgetError, parse_budget


def test_units_and_names_are_read() -> None:
    budget = parse_budget("macs=0.6G, params=6M,latency_ms=8,memory=200MB")
    assert budget == Budget(macs=600_000_000, params=6_000_000, latency_ms=8.0, memory=200_000_000)
    assert str(budget) == "macs=600M,params=6M,latency_ms=8,memory=200MB"
    assert parse_budget(str(budget)) == budget
    assert parse_budget("") == Budget() and str(Budget()) == "none"


def test_limits_are_included() -> None:
    assert Budget(macs=10).allows(10, 999) and not Budget(macs=10).allows(11, 0)
    assert not Budget(params=5).allows(0, 6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mac=1G", "did you mean macs"),
        ("macs=lots", "for example macs=0.6G"),
        ("macs=0", "for example"),
        ("macs", "for example"),
        ("macs=1G,macs=2G", "given twice"),
    ],
)
def test_a_limit_that_is_none_is_told(given: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_budget(given)


def test_a_budget_that_nothing_meets_has_an_exit_code_of_its_own() -> None:
    assert BudgetError("…").exit_code == 6
