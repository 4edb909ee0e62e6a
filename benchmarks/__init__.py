"""Benchmarks: every row compares with a named baseline in the same run and reports a ratio of medians."""
