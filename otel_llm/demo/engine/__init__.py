"""The reference engine: a small but real transformer, served the way real engines serve."""
