"""The base of methods that learn from a vision-language model: from embeddings of images and of texts in one space."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar

from hashbench.errors import HashbenchError
from hashbench.learning.inputs import features_of
from hashbench.learning.networks import HeadMethod
from hashbench.learning.texts import TextKind, why_left_out
from hashbench.learning.training import Training
from hashbench.types import TrainView


class ExternalTextMethod(HeadMethod):
    """A `HeadMethod` that also reads what a vision-language model such as CLIP says of the train rows.

    A run whose backbone is no such model leaves the method out (`reason_to_skip`). No other feature may stand in for
    these embeddings, not even one of equal width: all that a fit reads must be of one model (`require_one_model`).

    `embeddings`: the fields of `TrainView` with embeddings of images, then the one with those of texts. `texts`: what
    the texts are, which is information from outside of the images; a table marks the row with it.
    """

    embeddings: ClassVar[tuple[str, ...]]
    texts: ClassVar[TextKind]

    @classmethod
    def reason_to_skip(cls, name: str, provides: Collection[str]) -> str | None:
        """Why a run that provides only these fields cannot have the method, in one sentence; None where it can.

        `name`: the method's in params.yaml, or its title.
        """
        if set(cls.embeddings) <= set(provides):
            return None
        return why_left_out(name, cls.texts, provides)

    def begin(self, train: TrainView, n_bits: int, seed: int, device: str) -> Iterator[Training]:
        """See `HeadMethod.begin`."""
        if (reason := self.reason_to_skip(self.title, train.provides)) is not None:
            raise HashbenchError(reason)
        require_one_model(train, *self.embeddings)
        return super().begin(train, n_bits, seed, device)


def require_one_model(train: TrainView, *fields: str) -> None:
    """Refuse embeddings of several models, of several widths, of values that are not finite, or of a single text.

    The last of `fields` names the texts (m, e); the others images, (n, e) or in views (v, n, e).
    """
    arrays = {field: features_of(train, field) for field in fields}
    models = {field: train.embedded_by.get(field, "an unknown model") for field in fields}
    if len(set(models.values())) > 1 or "an unknown model" in models.values():
        told = ", ".join(f"{field} of {model}" for field, model in models.items())
        raise HashbenchError(f"embeddings must be of one vision-language model, got {told}; extract them with one")
    widths = {field: array.shape[-1] for field, array in arrays.items()}
    if len(set(widths.values())) > 1:
        raise HashbenchError(f"embeddings of one model must have one width, got {widths}; extract them again")
    if len(arrays[fields[-1]]) < 2:
        raise HashbenchError(f"{fields[-1]} must hold 2 texts or more, got {len(arrays[fields[-1]])}; name more")
