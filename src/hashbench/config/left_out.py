"""Which methods a profile leaves out on which of its backbones, and why."""

from __future__ import annotations

from collections.abc import Iterable

from hashbench.config.hyperparameters import class_constant
from hashbench.config.params import Params
from hashbench.features.specs import BackboneSpec
from hashbench.learning.texts import TextKind, why_left_out

_BANKS: dict[TextKind, str] = {"concept": "concepts", "noun": "nouns"}


def left_out_of(params: Params, profile: str, methods: Iterable[str]) -> dict[str, dict[str, str]]:
    """Those of `methods` that need texts on backbones which have none: method -> backbone -> why, in one sentence.

    Read from the source of the methods, not imported, as their hyperparameters are. What `package.module:Class` needs
    is only known when it is imported: its fit ends with the same sentence.
    """
    backbones = sorted(params.profile(profile).backbones)
    found: dict[str, dict[str, str]] = {}
    for name in methods:
        kind = texts_of(params.method(name, profile).code)
        lacking = [b for b in backbones if kind and _BANKS[kind] not in _files(params.backbones[b])]
        if kind and lacking:
            found[name] = {b: why_left_out(name, kind, provided_by(params.backbones[b])) for b in lacking}
    return found


def texts_of(code: str) -> TextKind | None:
    """Which texts the method that `code` names is told, as its class says in `texts`; None where it is told none."""
    said = class_constant(code, "texts")
    return next((kind for kind in _BANKS if kind == said), None)


def provided_by(spec: BackboneSpec) -> list[str]:
    """What features of a backbone are, by the names that `TrainView` gives them."""
    if spec.texts is None:
        return ["pooled", "views"]
    return ["pooled", "views", "clip_pooled", "clip_views", *(f"clip_{name}" for name in spec.texts.files)]


def _files(spec: BackboneSpec) -> dict[str, str]:
    return spec.texts.files if spec.texts else {}
