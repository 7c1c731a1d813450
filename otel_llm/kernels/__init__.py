"""Kernels: what they are, what a step's kernels add up to, and where they come from."""
