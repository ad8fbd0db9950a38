"""Benchmarks: what the engine is worth, every figure with its number of cases and a 95% interval."""
