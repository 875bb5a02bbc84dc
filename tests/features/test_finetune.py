"""The copy of a backbone that a method trains: its weights, its views, and what of it is trained."""

from __future__ import annotations

import copy
import hashlib

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hashbench.errors import HashbenchError
from hashbench.features.backbones import load_backbone
from hashbench.features.extract import extract_views
from hashbench.features.finetune import FineTuning
from hashbench.features.folding import folded
from hashbench.features.specs import BackboneSpec, BackboneTraining
from hashbench.types import TrainableBackbone


@pytest.fixture
def tuning(vit_block, save_network, recipe):
    """`tuning(spec_of={...}, rates={...}, last_layers=1, ...)`: a run's backbone, by default the small ViT."""

    def make(spec_of=None, rates=None, checkpoint_layers=False, **training):
        spec = BackboneSpec.read("backbones.small", {**vit_block, **(spec_of or {})})
        said = BackboneTraining(**{"learning_rate": 1e-3, "batch_norm": "evaluation", **training})
        path = save_network(spec)[0]
        return FineTuning(spec, path, said, rates or {}, recipe, seed=9, checkpoint_layers=checkpoint_layers)

    return make


CNN = {"model": "test_efficientnet", "arguments": {}, "size": 32}


def test_a_copy_sees_the_extracted_views_and_learns_alone(tuning, images, recipe):
    tuned, rows = tuning(), np.arange(40)
    assert isinstance(tuned, TrainableBackbone)
    assert tuned.learning_rate == 1e-3
    frozen, before = load_backbone(tuned.spec, tuned.weights), hashlib.sha256(tuned.weights.read_bytes()).digest()
    extracted = [block.arrays for block in extract_views(frozen, lambda r: images[r], rows, recipe, 2, seed=9)]
    network = tuned.build()
    pooled, tokens = network(tuned.augment(images, rows, 1))
    np.testing.assert_allclose(
        np.concatenate([block["view_tokens"] for block in extracted])[40:], tokens.detach().numpy(), atol=2e-2
    )
    np.testing.assert_allclose(
        np.concatenate([block["views"] for block in extracted])[40:], pooled.detach().numpy(), atol=1e-5
    )
    assert torch.equal(tuned.prepare(images), frozen.prepare(images))
    tokens.square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    for another in (tuned.build(), load_backbone(tuned.spec, tuned.weights)):
        for mine, theirs in zip(another.parameters(), frozen.parameters(), strict=True):
            assert torch.equal(mine, theirs)
    assert not torch.equal(network.network.norm.weight, frozen.network.norm.weight)
    assert hashlib.sha256(tuned.weights.read_bytes()).digest() == before


@pytest.mark.parametrize(
    ("last_layers", "first_block"), [(None, 0), (3, 0), (2, 0), (1, 1)], ids=["all", "three", "two", "one"]
)
def test_layers_are_counted_from_the_last(tuning, last_layers, first_block):
    """The groups of a ViT of two blocks: what comes before them, the first, the second with the last norm."""
    trained = {
        name
        for name, weight in tuning(last_layers=last_layers).build().network.named_parameters()
        if weight.requires_grad
    }
    everything = {name for name, _ in tuning().build().network.named_parameters()}
    before = {"cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"}
    expected = {name for name in everything - before if not name.startswith("blocks.0.") or first_block == 0}
    assert trained == (everything if last_layers in (None, 3) else expected)
    assert "norm.weight" in trained


def test_a_number_of_layers_that_a_network_has_not_is_refused(tuning):
    with pytest.raises(HashbenchError) as error:
        tuning(last_layers=4).build()
    assert str(error.value) == "vit_tiny_patch16_224 has 3 groups of layers; last_layers must be 1 to 3"


@pytest.mark.parametrize("batch_norm", ["evaluation", "training"])
def test_layers_of_batch_norm_are_in_the_mode_that_the_run_says(tuning, images, batch_norm):
    tuned = tuning(CNN, batch_norm=batch_norm)
    network = tuned.build()
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    assert len(layers) == (0 if batch_norm == "evaluation" else 13)
    for mode in (True, False, True):
        network.train(mode)
        assert network.training == network.network.conv_stem.training == mode
        assert all(layer.training == mode for layer in layers)
    file, pictures = load_file(tuned.weights), tuned.prepare(images)
    together, alone = network(pictures).pooled, network(pictures[:4]).pooled
    own = {name: value for name, value in network.network.state_dict().items() if "running" in name}
    if batch_norm == "evaluation":
        torch.testing.assert_close(alone, together[:4])
        assert all(torch.equal(value, file[name]) for name, value in own.items())
    else:
        assert not torch.allclose(alone, together[:4], rtol=0.05)
        assert not any(torch.equal(value, file[name]) for name, value in own.items())


@pytest.mark.parametrize("name", ["proj_drop_rate", "attn_drop_rate", "pos_drop_rate", "drop_path_rate"])
def test_rates_take_effect_in_training_alone_and_change_no_weight(tuning, images, name):
    tuned, plain = tuning(rates={name: 0.5}), tuning()
    network, pictures = tuned.build(), tuned.prepare(images)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), plain.build().parameters(), strict=True))
    assert torch.equal(network.eval()(pictures).pooled, plain.build().eval()(pictures).pooled)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = network.train()(pictures).pooled, network(pictures).pooled
    assert not torch.equal(first, second)


def test_a_rate_that_a_network_has_not_is_refused(tuning):
    with pytest.raises(HashbenchError) as error:
        tuning(CNN, rates={"attn_drop_rate": 0.1}).build()
    assert "timm cannot build test_efficientnet with arguments {'attn_drop_rate': 0.1}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("spec_of", [{}, CNN], ids=["ViT", "CNN"])
def test_recomputed_activations_give_the_same_gradients(tuning, images, spec_of):
    gradients = []
    for recomputed in (False, True):
        tuned = tuning(spec_of, rates={"drop_path_rate": 0.3}, checkpoint_layers=recomputed)
        network = tuned.build().train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            network(tuned.prepare(images)).pooled.square().sum().backward()
        gradients.append({name: weight.grad for name, weight in network.named_parameters()})
    kept, recomputed = gradients
    for name, gradient in kept.items():
        torch.testing.assert_close(recomputed[name], gradient)


def with_statistics(network):
    """The network in double precision, with BatchNorm that does something."""
    random = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, _BatchNorm):
            layer.running_mean.uniform_(-0.5, 0.5, generator=random)
            for positive in (layer.running_var, layer.weight.data):
                positive.uniform_(0.5, 1.5, generator=random)
    return network.double().eval()


@pytest.mark.parametrize(
    ("model", "left"), [("test_efficientnet", 0), ("test_resnet", 1), ("vgg11_bn", 0), ("densenet121", 62)]
)
def test_folded_batch_norm_is_the_same_function_of_the_same_weights(model, left):
    network = with_statistics(timm.create_model(model))
    fast = copy.deepcopy(folded(network, 32))
    assert sum(isinstance(layer, _BatchNorm) for layer in fast.modules()) == left
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for each in (network, fast):
        each.forward_features(pictures).square().mean().backward()
    torch.testing.assert_close(fast.forward_features(pictures), network.forward_features(pictures))
    assert fast.state_dict().keys() == network.state_dict().keys()
    trained = dict(fast.named_parameters())
    for name, weight in network.named_parameters():
        torch.testing.assert_close(trained[name].grad, weight.grad)


def test_a_network_whose_batch_norm_comes_elsewhere_is_left_as_it_is():
    class NormFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

        def forward_features(self, pictures):
            return self.convolution(self.norm(pictures))

    network = with_statistics(NormFirst())
    assert folded(network, 32) is network
