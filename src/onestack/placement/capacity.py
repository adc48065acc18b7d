"""How much fits: pure arithmetic on inventories, the same for claims, candidates and explanations."""

from __future__ import annotations

from typing import NamedTuple


class Stock(NamedTuple):
    """One resource class of one provider, with what is used of it."""

    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float
    used: int = 0

    @property
    def capacity(self) -> int:
        return int((self.total - self.reserved) * self.allocation_ratio)

    @property
    def free(self) -> int:
        return self.capacity - self.used


def within_units(stock: Stock, amount: int) -> bool:
    return stock.min_unit <= amount <= stock.max_unit and amount % stock.step_size == 0


def fits(stock: Stock | None, amount: int) -> bool:
    return stock is not None and within_units(stock, amount) and stock.used + amount <= stock.capacity


def why_not(resource_class: str, stock: Stock | None, amount: int) -> str | None:
    """In words, why `amount` can't be had; None when it can."""
    if stock is None:
        return f"it has no {resource_class}"
    if amount > stock.max_unit:
        return f"{amount} {resource_class} asked, at most {stock.max_unit} for one consumer"
    if not within_units(stock, amount):
        return f"{amount} {resource_class} asked, at least {stock.min_unit} in steps of {stock.step_size}"
    if stock.used + amount > stock.capacity:
        return f"{amount} {resource_class} asked, {max(stock.free, 0)} of {stock.capacity} free"
    return None
