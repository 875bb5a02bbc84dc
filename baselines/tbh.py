"""TBH: a decoder that sees features only after they are mixed along a graph of their codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hashbench.learning.binarize import binary_neuron
from hashbench.learning.hyperparameters import Count, Positive
from hashbench.learning.networks import HeadMethod
from hashbench.learning.standardise import Standardise
from hashbench.learning.training import Recipe, Training
from hashbench.learning.views import train_rows
from hashbench.types import Paper, TrainView


class TBH(HeadMethod):
    """Twin-Bottleneck Hashing (Shen et al., CVPR 2020).

    Encoder: a = ReLU(linear(x)) (N, hidden); bits b = 1[σ(linear(a)) >= 1/2] (N, K) with the gradient of σ; continuous
    z = σ(linear(a)) (N, bottleneck). The batch's codes span a graph: A_ij = (1 - Hamming(b_i, b_j) / K)^exponent.
    Mixed along it, z' = σ(D^-½ A D^-½ (z W + c)) with D = diag(A 1), and x̂ = linear(ReLU(linear(z'))).

    Critics C_b and C_z, one sigmoid unit each, tell codes from prior draws y_b ~ Bernoulli(½)^K and
    y_z ~ U(0, 1)^bottleneck. With L_C = Σ_{v in b, z'} mean BCE(C(y_v), 1) + mean BCE(C(v), 0), the critics minimise
    L_C and all else minimises ½ Σ (x̂ - x)² - L_C, both in one step: the gradient of L_C changes its sign on its way
    from the critics to the codes. At inference only the bits' own layers are used.
    """

    title: ClassVar[str] = "TBH"
    paper: ClassVar[Paper] = Paper(
        key="shen2020auto",
        authors="Yuming Shen and Jie Qin and Jiaxin Chen and Mengyang Yu and Li Liu and Fan Zhu and Fumin Shen "
        "and Ling Shao",
        title="Auto-Encoding Twin-Bottleneck Hashing",
        venue="IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)",
        year=2020,
        url="https://doi.org/10.1109/CVPR42600.2020.00289",
    )
    trains_backbone: ClassVar[bool] = False
    deviations: ClassVar[tuple[str, ...]] = (
        "Training bits are thresholded at 1/2, as in the published code; the paper draws the threshold at random.",
        "The critics have no hidden layer, as in the published code.",
        "Features pass through a fixed layer that centres them and gives them unit scale. They are rebuilt in that "
        "form, so the decoder's output is linear.",
    )

    def __init__(
        self,
        *,
        hidden: Count,
        bottleneck: Count,
        exponent: Positive,
        learning_rate: Positive,
        batch_size: Count,
        epochs: Count,
    ) -> None:
        self.hidden = hidden
        self.bottleneck = bottleneck
        self.exponent = exponent
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs

    def network(self, n_features: int, n_bits: int, generator: torch.Generator) -> nn.Module:
        """See `HeadMethod.network`."""
        return nn.Sequential(
            Standardise(n_features),
            dense(n_features, self.hidden, generator),
            nn.ReLU(),
            dense(self.hidden, n_bits, generator),
        )

    def training(
        self, head: nn.Module, train: TrainView, n_bits: int, generator: torch.Generator, device: str
    ) -> Iterator[Training]:
        """See `HeadMethod.training`."""
        assert isinstance(head, nn.Sequential)
        features = head[0](train_rows(train, "pooled", device))
        n_features, width, trunk, to_bits = features.shape[1], self.bottleneck, head[1:3], head[3]
        to_bottleneck = nn.Sequential(dense(self.hidden, width, generator), nn.Sigmoid())
        mixing = dense(width, width, generator)
        decoder = nn.Sequential(
            dense(width, self.hidden, generator), nn.ReLU(), dense(self.hidden, n_features, generator)
        )
        bit_critic, bottleneck_critic = dense(n_bits, 1, generator), dense(width, 1, generator)

        def draw(batch: Tensor) -> tuple[Tensor, ...]:
            bit_prior = torch.rand((len(batch), n_bits), generator=generator).round()
            mixed_prior = torch.rand((len(batch), width), generator=generator)
            return features[batch], bit_prior.to(features.device), mixed_prior.to(features.device)

        def loss_terms(rows: Tensor, bit_prior: Tensor, mixed_prior: Tensor) -> dict[str, Tensor]:
            activations = trunk(rows)
            bits = binary_neuron(to_bits(activations))
            graph = normalised(code_graph(bits, self.exponent))
            mixed = torch.sigmoid(graph @ mixing(to_bottleneck(activations)))
            return {
                "reconstruction": (decoder(mixed) - rows).square().sum() / 2,
                "bit critic": critic_loss(bit_critic, bit_prior, bits),
                "bottleneck critic": critic_loss(bottleneck_critic, mixed_prior, mixed),
            }

        yield Training(
            nn.ModuleList([head, to_bottleneck, mixing, decoder, bit_critic, bottleneck_critic]),
            draw,
            loss_terms,
            len(features),
            Recipe("adam", self.learning_rate, self.batch_size, self.epochs),
            generator,
            f"{self.title} {n_bits} bits",
        )


def dense(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer as Keras starts it: Glorot's uniform weights, no bias."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out)  # type: ignore[no-untyped-call]
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def code_graph(bits: Tensor, exponent: float) -> Tensor:
    """A_ij = (1 - Hamming(b_i, b_j) / K)^exponent of `bits` in {0, 1} (N, K): (N, N) in [0, 1], with a gradient."""
    distances = bits @ (1 - bits).T + (1 - bits) @ bits.T
    # The power's own gradient is infinite at 0, between two opposite codes, for exponents below 1.
    return (1 - distances / bits.shape[1]).clamp(min=1e-6) ** exponent


def normalised(graph: Tensor) -> Tensor:
    """D^-½ A D^-½ of `graph` A (N, N) with D = diag(A 1)."""
    scale = graph.sum(dim=1).rsqrt()
    return scale[:, None] * graph * scale


def critic_loss(critic: nn.Module, prior: Tensor, codes: Tensor) -> Tensor:
    """mean BCE(σ(critic(prior)), 1) + mean BCE(σ(critic(codes)), 0), its gradient reversed on the way to `codes`."""
    drawn, made = critic(prior), critic(reverse_gradient(codes))
    # BCE of a sigmoid in terms of its logit: -log σ(l) = softplus(-l), -log(1 - σ(l)) = softplus(l).
    return F.softplus(-drawn).mean() + F.softplus(made).mean()


class _ReverseGradient(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return -grad_outputs[0]


def reverse_gradient(values: Tensor) -> Tensor:
    """`values`; their gradient with its sign changed (Ganin, Lempitsky, ICML 2015)."""
    result: Tensor = _ReverseGradient.apply(values)
    return result
