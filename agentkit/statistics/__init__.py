"""Estimates with confidence intervals, and tests that stay valid no matter when one looks at them."""
