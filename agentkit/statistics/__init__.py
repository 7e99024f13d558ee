"""Estimates with their intervals, and tests that may be looked at at any time."""
