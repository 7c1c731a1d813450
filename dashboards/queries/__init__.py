"""Texts of queries: SQL from the query layer, PromQL from the declared metrics."""
