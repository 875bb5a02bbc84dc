"""Codes and labels from anyone's files: every common format, alphabet and form of labels; ambiguity is refused."""

from hashbench.evaluation.readers.reading import Items, read_items
from hashbench.evaluation.readers.request import Reading, Sources

__all__ = ["Items", "Reading", "Sources", "read_items"]
