from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from hashbench.errors import HashbenchError
from hashbench.features.backbones import Backbone, load_backbone, new_network
from hashbench.features.pretrain import pretrain
from hashbench.features.specs import BackboneSpec

HOW = {"epochs": 2, "batch_size": 25, "learning_rate": 3e-3, "warmup": 0.2, "weight_decay": 0.05}


@pytest.fixture
def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return grey[..., None].repeat(3, axis=3), bunch.target


@pytest.fixture
def gentle(recipe):
    """A recipe under which a digit stays the same digit."""
    changes = {"crop_scale": (0.7, 1.0), "crop_ratio": (0.85, 1.18), "flip": 0.0, "hue": 0.0, "grey": 0.0, "blur": 0.0}
    return recipe.model_copy(update=changes)


def _spec(vit_block: dict, **how) -> BackboneSpec:
    return BackboneSpec.read("backbones.vit_micro", {**vit_block, "weights": {**HOW, **how}})


def _mean_precision(features: np.ndarray, labels: np.ndarray, k: int = 10) -> float:
    """Precision of the k nearest by cosine, every image a query over all the others."""
    centred = features - features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    return float((labels[nearest] == labels[:, None]).mean())


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone(vit_block, digits, gentle):
    images, rows = digits[0][:60], np.arange(60)
    before = torch.random.get_rng_state()
    first, log = pretrain(_spec(vit_block), images, rows, gentle, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(3)  # whatever else was drawn in between
    second, _ = pretrain(_spec(vit_block), images, rows, gentle, seed=1)
    other, _ = pretrain(_spec(vit_block), images, rows, gentle, seed=2)
    assert len(log.curves["mse"]) == 2
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    assert any(not np.array_equal(value, other[name]) for name, value in first.items())


def test_load_backbone_takes_what_pretraining_leaves(vit_block, digits, gentle, tmp_path):
    spec = _spec(vit_block)
    state, _ = pretrain(spec, digits[0][:60], np.arange(60), gentle, seed=1)
    save_file(state, tmp_path / "weights.safetensors")
    backbone = load_backbone(spec, tmp_path / "weights.safetensors")
    for name, value in backbone.network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name])


def test_pretrained_features_tell_unseen_digits_apart_far_better_than_initial_ones(vit_block, digits, gentle):
    images, labels = digits
    small = {"class_token": False, "global_pool": "avg", "fc_norm": False, "final_norm": False, "mlp_ratio": 2}
    arguments = {**vit_block["arguments"], **small}
    spec = _spec({**vit_block, "arguments": arguments}, epochs=40, batch_size=15, learning_rate=5e-3, warmup=0.1)
    state, log = pretrain(spec, images[:300], np.arange(300), gentle, seed=0)
    assert log.curves["mse"][-1] < 0.8 * log.curves["mse"][0]

    def precision(network) -> float:
        backbone = Backbone(network, spec)
        with torch.inference_mode():
            pooled = backbone(backbone.prepare(images[300:900])).pooled
        return _mean_precision(pooled.numpy(), labels[300:900])

    untrained, trained = new_network(spec), new_network(spec)
    trained.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    assert precision(trained) > precision(untrained) + 0.2


def test_published_weights_are_not_pretrained_again(vit_block, digits, gentle):
    spec = BackboneSpec.read("backbones.small", vit_block)
    with pytest.raises(HashbenchError, match="small ViT has published weights"):
        pretrain(spec, digits[0][:60], np.arange(60), gentle, seed=1)


def test_a_diverging_training_is_refused(vit_block, digits, gentle):
    with pytest.raises(HashbenchError, match=r"the loss is not finite in epoch \d; lower learning_rate"):
        pretrain(_spec(vit_block, learning_rate=1e30), digits[0][:60], np.arange(60), gentle, seed=1)
