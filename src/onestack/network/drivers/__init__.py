"""Engines that make networks real: `base` is the contract, `fake` ships with the product, `ovn` moves packets."""
