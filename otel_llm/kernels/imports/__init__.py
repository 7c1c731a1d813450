"""Profiles that others recorded, into the same tables as kernels that were followed live."""
