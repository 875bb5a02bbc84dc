"""Texts that a method is told beside the images: which kinds there are, and what is said where a run has none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

TextKind = Literal["concept", "noun"]

MARKS: Mapping[str, str] = {"concept": "external text: concept names", "noun": "external text: generic nouns"}


def why_left_out(name: str, kind: TextKind, provides: Collection[str]) -> str:
    """The sentence on a method that needs texts of a `kind` where a run provides only these fields of `TrainView`.

    `name`: the method's in params.yaml, or its title.
    """
    return (
        f"{name} needs image embeddings of the train rows and {kind} text embeddings of one vision-language model; "
        f"this run provides {', '.join(sorted(provides)) or 'nothing'}: add a CLIP backbone and a {kind} list, or "
        f"leave {name} out"
    )
