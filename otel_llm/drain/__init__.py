"""The drain hook: takes a node out of service when an alert says that its GPU is broken.

Off unless it is started (`otel-llm drain`), and it only says what it would do unless told to act.
"""
