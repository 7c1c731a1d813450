"""The relay: passes Alertmanager's messages on with the traces of the slowest and failed calls.

A Prometheus rule cannot hold a trace id. The store knows them, so the relay asks it when a message
comes, and a message never waits long for the answer.
"""
