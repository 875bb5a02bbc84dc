"""UHSCM: images are as similar as the concepts that a vision-language model finds in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from hashbench.errors import HashbenchError
from hashbench.learning.concept_mining import concept_probabilities, concept_similarity, frequent_concepts, uhscm_terms
from hashbench.learning.external_text import ExternalTextMethod
from hashbench.learning.hyperparameters import Count, NotNegative, Positive
from hashbench.learning.networks import linear
from hashbench.learning.standardise import Standardise
from hashbench.learning.texts import TextKind
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import images_of, train_rows
from hashbench.types import Paper, TrainView


class UHSCM(ExternalTextMethod):
    """Unsupervised Hashing with Semantic Concept Mining (Tu et al., Proc. ACM Manag. Data 2023).

    Before training, each train image has its probabilities over the concepts that enough images are near to
    (`concept_probabilities`); S_ij in (-1, 1] is how alike those of two images are (`concept_similarity`). The head is
    a linear layer and tanh, z in (-1, 1)^K, of one random view of each image. The objective is the sum of
    `uhscm_terms`(z, S). Minimised by SGD. An item's code is the sign of the head; it needs no embedding.
    """

    title: ClassVar[str] = "UHSCM"
    paper: ClassVar[Paper] = Paper(
        key="tu2023uhscm",
        authors=(
            "Rong-Cheng Tu and Xian-Ling Mao and Kevin Qinghong Lin and Chengfei Cai and Weize Qin and Wei Wei and "
            "Hongfa Wang and Heyan Huang"
        ),
        title="Unsupervised Hashing with Semantic Concept Mining",
        venue="Proceedings of the ACM on Management of Data",
        year=2023,
        url="https://arxiv.org/abs/2209.11475",
    )
    needs: ClassVar[frozenset[str]] = frozenset({"pooled", "views", "clip_pooled", "clip_concepts"})
    embeddings: ClassVar[tuple[str, ...]] = ("clip_pooled", "clip_concepts")
    texts: ClassVar[TextKind] = "concept"
    deviations: ClassVar[tuple[str, ...]] = (
        "It is told concept names, which no method without texts is; where they are the data set's own label names, "
        "the evaluation's classes are an input.",
        "Features pass through a fixed layer that centres them and gives them unit scale.",
        "The learning rate is constant; the schedule is missing from the official code.",
        "Embeddings are float32; the official code computes them in half precision.",
        "The last epoch is used; the official code prints it beside the best epoch on the queries.",
    )
    if_frozen: ClassVar[tuple[str, ...]] = (
        "Only the hash layer is trained, on frozen features; the official code trains all of VGG-19.",
        "The view is drawn from a fixed number of pre-extracted ones; the official code augments afresh.",
    )

    def __init__(
        self,
        *,
        sharpness: Positive,
        threshold: Annotated[float, Field(ge=-1, le=1)],
        temperature: Positive,
        contrast: NotNegative,
        quantisation: NotNegative,
        learning_rate: Positive,
        weight_decay: NotNegative,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.sharpness = sharpness
        self.threshold = threshold
        self.temperature = temperature
        self.contrast = contrast
        self.quantisation = quantisation
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(Standardise(n_features), linear(n_features, n_bits, generator), nn.Tanh())

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        embedded, concepts = (train_rows(train, field, device) for field in self.embeddings)
        n_frequent = int(frequent_concepts(embedded, concepts).sum())
        if n_frequent < 2:
            raise HashbenchError(
                f"{self.title}: all but {n_frequent} of {len(concepts)} concepts are nearest to too few train images, "
                "so all images would count as alike; give a concept list that fits the data set"
            )
        probabilities = concept_probabilities(embedded, concepts, self.sharpness)
        images = images_of(train, device)

        def draw(batch: Tensor) -> tuple[Tensor, ...]:
            return images.one(batch, generator), concept_similarity(probabilities[batch])

        def loss_terms(rows: Tensor, similarity: Tensor) -> Mapping[str, Tensor]:
            return uhscm_terms(
                head(rows), similarity, self.threshold, self.temperature, self.contrast, self.quantisation
            )

        yield Training(
            head,
            draw,
            loss_terms,
            len(train),
            Recipe("sgd", self.learning_rate, self.batch_size, self.epochs, weight_decay=self.weight_decay),
            generator,
            f"{self.title} {n_bits} bits",
            remarks=(f"{n_frequent} of {len(concepts)} concepts kept",),
        )
