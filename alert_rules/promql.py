"""Pieces of PromQL."""

import json
import re
from collections.abc import Iterable

from otel_llm.alert_rules.model import Selector, Without


def matchers(selector: Selector) -> list[str]:
    """Label matchers of a selector, in order of labels. Several values are patterns."""
    made = []
    for label, value in sorted(selector.items()):
        if isinstance(value, Without):
            made.append(f"{label}!~{quoted('|'.join(value.without))}")
        elif isinstance(value, list):
            made.append(f"{label}=~{quoted('|'.join(value))}")
        else:
            made.append(f"{label}={quoted(value)}")
    return made


def quoted(text: str) -> str:
    """A string literal."""
    return json.dumps(text, ensure_ascii=False)


def select(name: str, *parts: str) -> str:
    """A series with its matchers."""
    inside = ",".join(part for part in parts if part)
    return f"{name}{{{inside}}}" if inside else name


def le(edge: float) -> str:
    """Matcher of a bucket, however its exporter writes the number: 1, 1.0, 0.33252567300796512."""
    text = f"{edge:g}"
    if float(text) != edge:
        return f'le=~"{re.escape(repr(edge)[:7])}.*"'.replace("\\", "\\\\")
    return f'le=~"{text}(\\\\.0)?"' if edge.is_integer() else f'le="{text}"'


def summed(labels: Iterable[str], expression: str) -> str:
    """The sum by some labels, of which `model` may have its name in the GenAI conventions."""
    by = ", ".join(labels)
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def renamed(expression: str, label: str, theirs: str) -> str:
    """With a label under another name too."""
    return f'label_replace({expression}, "{label}", "$1", "{theirs}", "(.*)")'
