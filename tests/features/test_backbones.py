from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from hashbench.errors import HashbenchError
from hashbench.features.backbones import Backbone, load_backbone, new_network, prepare, published_weights
from hashbench.features.specs import BackboneSpec, PublishedWeights
from hashbench.features.weights import tensors_digest

LITE0_SHA = "2b4a5f7e9a1870e2c41efd811c5b04f7e5843b32900a338e3f181204a324f9c6"


def _spec(block: dict, **changes) -> BackboneSpec:
    return BackboneSpec.read("backbones.small", {**block, **changes})


def test_tokens_and_pooled_features_of_a_vit_are_timms(small_vit, images):
    pictures = small_vit.prepare(images)
    maps = small_vit.network.forward_features(pictures)
    pooled, tokens = small_vit(pictures)
    assert torch.equal(tokens, maps[:, 1:])
    assert torch.equal(pooled, maps[:, 1:].mean(dim=1))


def test_a_network_of_several_scales_is_refused(vit_block, images):
    spec = _spec(vit_block, model="coat_tiny", arguments={}, size=224)
    with pytest.raises(HashbenchError, match="coat_tiny gives 3 feature maps of different scales"):
        Backbone(new_network(spec), spec)(torch.zeros(1, 3, 224, 224))


def test_the_class_token_is_pooled_by_cls(vit_block, save_network, images):
    spec = _spec(vit_block, pool="cls")
    backbone = load_backbone(spec, save_network(spec)[0])
    pictures = backbone.prepare(images)
    assert torch.equal(backbone(pictures).pooled, backbone.network.forward_features(pictures)[:, 0])


def test_the_mean_token_of_a_cnn_is_its_global_average_pool(vit_block, save_network, images):
    spec = _spec(vit_block, model="resnet10t", arguments={}, size=64)
    backbone = load_backbone(spec, save_network(spec)[0])
    pictures = backbone.prepare(images)
    pooled, tokens = backbone(pictures)
    assert tokens.shape == (40, 4, 512)
    torch.testing.assert_close(pooled, backbone.network(pictures))
    corner = backbone.network.forward_features(pictures)[:, :, 1, 0]
    assert torch.equal(tokens[:, 2], corner)


def test_the_grid_of_a_channels_last_model_is_flattened_by_rows(vit_block, images):
    arguments = {"img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 16, "depths": (1, 1)}
    spec = BackboneSpec.model_construct(
        **{**vit_block, "model": "swin_tiny_patch4_window7_224", "arguments": {**arguments, "num_heads": (1, 1)}},
        crop_pct=1.0,
    ).model_copy(update={"size": 32})
    backbone = Backbone(new_network(spec), spec)
    pictures = backbone.prepare(images)
    maps = backbone.network.forward_features(pictures)
    assert maps.shape == (40, 8, 8, 32)
    assert torch.equal(backbone(pictures).tokens[:, 9], maps[:, 1, 1])


def test_pre_logits_of_vgg_are_its_second_hidden_layer_without_dropout(vit_block, images):
    spec = _spec(vit_block, model="vgg11", arguments={"mlp_ratio": 0.02}, size=32, pool="pre_logits")
    backbone = Backbone(new_network(spec), spec)
    pictures = backbone.prepare(images[:4])
    pooled, tokens = backbone(pictures)
    hidden = backbone.network.pre_logits
    maps = F.adaptive_avg_pool2d(backbone.network.features(pictures), 7)
    expected = hidden.fc2(hidden.fc1(maps).relu()).relu().flatten(1)
    torch.testing.assert_close(pooled, expected)
    assert tokens.shape == (4, 1, 512)
    assert torch.equal(pooled, backbone(pictures).pooled)


@pytest.mark.parametrize(("stride", "stage", "places"), [(2, 0, 256), (4, 1, 64), (8, 2, 16), (16, 3, 4), (32, 4, 1)])
def test_tokens_are_the_last_feature_maps_of_their_stride(vit_block, images, stride, stage, places):
    """The five stages of `test_efficientnet` are at strides 2 to 32; its pooled feature is of what follows them all."""
    block = {**vit_block, "model": "test_efficientnet", "arguments": {}, "size": 32}
    spec, plain = _spec(block, token_stride=stride), _spec(block)
    backbone = Backbone(new_network(spec), spec)
    pictures, maps = backbone.prepare(images[:3]), []
    backbone.network.blocks[stage].register_forward_hook(lambda module, given, found: maps.append(found))
    pooled, tokens = backbone(pictures)
    (of_stage,) = maps
    assert tokens.shape == (3, places, of_stage.shape[1])
    assert torch.equal(tokens, of_stage.flatten(2).mT)
    assert torch.equal(pooled, Backbone(new_network(plain), plain)(pictures).pooled)


def test_of_several_feature_maps_of_a_stride_the_last_counts(vit_block, images):
    block = {**vit_block, "model": "vgg11", "arguments": {"mlp_ratio": 0.02}, "size": 32, "pool": "pre_logits"}
    spec, plain = _spec(block, token_stride=16), _spec(block)
    backbone = Backbone(new_network(spec), spec)
    pictures = backbone.prepare(images[:3])
    pooled, tokens = backbone(pictures)
    before_the_last_pool = backbone.network.features[:-1](pictures)
    assert tokens.shape == (3, 4, 512)
    torch.testing.assert_close(tokens, before_the_last_pool.flatten(2).mT)
    torch.testing.assert_close(pooled, Backbone(new_network(plain), plain)(pictures).pooled)


@pytest.mark.parametrize(
    ("model", "stride", "strides"), [("test_efficientnet", 64, "2, 4, 8, 16, 32"), ("test_vit", 8, "16")]
)
def test_a_stride_that_a_network_has_not_is_refused(vit_block, model, stride, strides):
    spec = _spec(vit_block, model=model, arguments={}, size=160, token_stride=stride)
    with pytest.raises(HashbenchError) as error:
        Backbone(new_network(spec), spec)(torch.zeros(1, 3, 160, 160))
    assert str(error.value) == f"{model} has no feature maps of token_stride {stride} (it has {strides})"


def test_a_projected_feature_is_what_the_last_layer_gives(vit_block, save_network, images):
    spec = _spec(vit_block, pool="projected")
    backbone = load_backbone(spec, save_network(spec)[0])
    pictures = backbone.prepare(images)
    pooled, tokens = backbone(pictures)
    torch.testing.assert_close(pooled, backbone.network.head(backbone.network.forward_features(pictures)[:, 0]))
    assert (pooled.shape, tokens.shape) == ((40, 1000), (40, 16, 32))
    with pytest.raises(HashbenchError, match="does not hold the weights"):
        load_backbone(spec, save_network(_spec(vit_block), "bare.safetensors")[0])


def test_the_image_side_of_clip_is_projected_into_the_space_of_its_texts(vit_block, images):
    arguments = {"img_size": 32, "embed_dim": 32, "depth": 1, "num_heads": 2}
    clip = {"model": "vit_base_patch16_clip_224.openai", "arguments": arguments, "size": 32, "pool": "projected"}
    spec = _spec(vit_block, **clip, texts={"nouns": "n.safetensors"})
    backbone = Backbone(new_network(spec), spec)
    pictures = backbone.prepare(images[:3])
    assert backbone(pictures).pooled.shape == (3, 512)
    torch.testing.assert_close(backbone(pictures).pooled, backbone.network(pictures))


def test_a_backbone_is_frozen_and_stays_in_eval_mode_when_loaded(small_vit):
    assert not small_vit.training
    assert not any(parameter.requires_grad for parameter in small_vit.parameters())


def test_the_middle_square_is_what_the_network_sees(vit_block):
    """Resizing the shorter side to size / crop_pct and cutting the middle, as timm and the papers' codes do."""
    spec = _spec(vit_block, size=28, crop_pct=0.875)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    resized = F.interpolate(pixels, (32, 48), mode="bicubic", antialias=True).clamp(0, 1)
    expected = (resized[:, :, 2:30, 10:38] - 0.5) / 0.5
    torch.testing.assert_close(prepare(images, spec, "cpu"), expected.contiguous(), atol=1e-5, rtol=0)
    assert torch.equal(prepare(list(images), spec, "cpu"), prepare(images, spec, "cpu"))


def test_half_precision_is_close_and_returns_float32(vit_block, save_network, images):
    path, _ = save_network(_spec(vit_block))
    exact = load_backbone(_spec(vit_block), path)
    for precision in ("bf16", "fp16"):
        half = load_backbone(_spec(vit_block, precision=precision), path)
        rough, fine = half(half.prepare(images)).pooled, exact(exact.prepare(images)).pooled
        assert rough.dtype == torch.float32
        assert not torch.equal(rough, fine)
        assert F.cosine_similarity(rough, fine).min() > 0.999


def test_building_a_network_leaves_the_global_generator_alone_and_is_seeded(vit_block):
    before = torch.random.get_rng_state()
    first, second = (new_network(_spec(vit_block), seed=1).pos_embed for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first, second)
    assert not torch.equal(first, new_network(_spec(vit_block), seed=2).pos_embed)


def test_weights_are_found_in_the_named_folder_and_then_in_weights(tmp_path, monkeypatch, vit_block, save_network):
    spec = _spec(vit_block)
    path, sha = save_network(spec)
    wanted = PublishedWeights(file=path.name, sha256=sha)
    monkeypatch.setenv("HASHBENCH_WEIGHTS", str(tmp_path))
    assert published_weights(wanted) == path
    monkeypatch.delenv("HASHBENCH_WEIGHTS")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").mkdir()
    path.rename(tmp_path / "weights" / path.name)
    assert published_weights(wanted).resolve() == tmp_path / "weights" / path.name


def test_weights_with_another_checksum_are_turned_down(tmp_path, monkeypatch, vit_block, save_network):
    path, _ = save_network(_spec(vit_block))
    monkeypatch.setenv("HASHBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(HashbenchError, match=rf"{path}: sha256 is [0-9a-f]{{64}}, not {'0' * 64}"):
        published_weights(PublishedWeights(file=path.name, sha256="0" * 64))


def test_the_same_tensors_under_another_header_are_the_same_weights(tmp_path, monkeypatch, vit_block, save_network):
    path, sha = save_network(_spec(vit_block))
    digest, state = tensors_digest(path), load_file(path)
    monkeypatch.setenv("HASHBENCH_WEIGHTS", str(tmp_path))
    save_file(dict(reversed(state.items())), path, {"format": "pt"})
    with pytest.raises(HashbenchError, match=f"not {sha} as params.yaml says"):
        published_weights(PublishedWeights(file=path.name, sha256=sha))
    wanted = PublishedWeights(file=path.name, sha256=sha, tensors_sha256=digest)
    assert published_weights(wanted) == path
    for name, changed in (("norm.weight", state["norm.weight"] + 1), ("norm.weight", state["norm.weight"].double())):
        save_file({**state, name: changed}, path)
        with pytest.raises(HashbenchError, match=f"not {sha} as params.yaml says"):
            published_weights(wanted)
    save_file({name.replace("norm.weight", "norm.scale"): values for name, values in state.items()}, path)
    with pytest.raises(HashbenchError, match=f"that of the tensors {digest}"):
        published_weights(PublishedWeights(file=path.name, tensors_sha256=digest))


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\2\0\0\0\0\0\0\0[]", b'\x07\0\0\0\0\0\0\0{"a":1}'])
def test_what_is_no_safetensors_file_has_no_digest(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(HashbenchError, match=r"a\.safetensors cannot be read as safetensors"):
        tensors_digest(tmp_path / "a.safetensors")


def test_without_a_revision_the_newest_file_is_the_address():
    assert PublishedWeights(file="a.safetensors").url is None
    newest = PublishedWeights(file="a.safetensors", hub="timm/x")
    assert newest.url == "https://huggingface.co/timm/x/resolve/main/model.safetensors"


def test_missing_weights_are_named_with_the_folders_to_put_them_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHBENCH_WEIGHTS", str(tmp_path / "lab"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HashbenchError, match=r"small\.safetensors are missing; put .* into .*/lab or weights"):
        published_weights(PublishedWeights(file="small.safetensors"))


def test_offline_says_which_file_of_which_revision_to_put_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HASHBENCH_WEIGHTS", raising=False)
    monkeypatch.setenv("HASHBENCH_OFFLINE", "1")
    wanted = PublishedWeights(file="vgg16.safetensors", hub="timm/vgg16.tv_in1k", revision="a" * 40)
    with pytest.raises(HashbenchError) as caught:
        published_weights(wanted)
    assert "HASHBENCH_OFFLINE forbids" in str(caught.value)
    assert "put vgg16.safetensors into weights" in str(caught.value)
    assert f"timm/vgg16.tv_in1k/resolve/{'a' * 40}/model.safetensors" in str(caught.value)


def test_a_download_asks_for_the_pinned_revision_and_is_checked(tmp_path, monkeypatch, vit_block, save_network):
    import huggingface_hub

    path, sha = save_network(_spec(vit_block), "model.safetensors")
    asked = []

    def download(repository, file, revision):
        asked.append((repository, file, revision))
        return str(path)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HASHBENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("HASHBENCH_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    wanted = PublishedWeights(file="small.safetensors", hub="timm/small", revision="b" * 40, sha256=sha)
    assert published_weights(wanted) == path
    assert asked == [("timm/small", "model.safetensors", "b" * 40)]

    def broken(repository, file, revision):
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", broken)
    with pytest.raises(HashbenchError, match=r"timm/small at b+ cannot be downloaded \(no route to host\); put"):
        published_weights(wanted)


def test_weights_of_another_model_or_with_gaps_are_turned_down(vit_block, save_network, tmp_path):
    spec = _spec(vit_block)
    path, _ = save_network(spec)
    state = load_file(path)
    state.pop("norm.weight")
    save_file(state, tmp_path / "gap.safetensors")
    with pytest.raises(HashbenchError, match=r"does not hold the weights of vit_tiny.*norm\.weight"):
        load_backbone(spec, tmp_path / "gap.safetensors")
    wider = _spec(vit_block, arguments={**vit_block["arguments"], "embed_dim": 64})
    with pytest.raises(HashbenchError, match="does not hold the weights"):
        load_backbone(wider, path)
    (tmp_path / "torn.safetensors").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(HashbenchError, match="cannot be read as safetensors"):
        load_backbone(spec, tmp_path / "torn.safetensors")


def test_a_published_classifier_is_left_out(vit_block, save_network, tmp_path):
    spec = _spec(vit_block)
    state = load_file(save_network(spec)[0])
    save_file({**state, "head.weight": torch.zeros(10, 32), "head.bias": torch.zeros(10)}, tmp_path / "c.safetensors")
    assert torch.equal(load_backbone(spec, tmp_path / "c.safetensors").network.norm.weight, state["norm.weight"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "vitt_tiny"}, "timm knows no model called 'vitt_tiny'"),
        ({"arguments": {"embed_dims": 3}}, "timm cannot build vit_tiny_patch16_224"),
        ({"model": "resnet10t", "arguments": {}, "pool": "cls"}, "resnet10t has no class token"),
    ],
)
def test_a_backbone_that_cannot_be_built_is_named(vit_block, changes, sentence):
    spec = _spec(vit_block, **changes)
    with pytest.raises(HashbenchError, match=sentence):
        Backbone(new_network(spec), spec)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pool": "max"}, r"backbones\.small\.pool: input should be 'avg', 'cls', 'pre_logits' or 'projected'"),
        ({"weights": {"file": "net.pth"}}, "read from .safetensors files alone"),
        ({"weights": {"file": "n.safetensors", "revision": "b" * 40}}, "revision is that of a hub repository"),
        ({"weights": {"file": "n.safetensors", "hub": "https://x"}}, "hub: string should match"),
        ({"weights": {"file": "n.safetensors", "hub": "timm/x", "revision": "main"}}, "revision: string should match"),
        ({"texts": {}}, "texts must name a file of concepts, of nouns, or of both"),
        ({"texts": {"nouns": "n.npy"}}, "text embeddings are read from .safetensors files alone, got n.npy"),
        ({"arguments": {"checkpoint_path": "evil.pth"}}, "must not hold 'checkpoint_path'"),
        ({"std": [0.5, 0, 0.5]}, r"std\.1: input should be greater than 0"),
    ],
)
def test_a_wrong_block_is_turned_down_in_one_sentence(vit_block, changes, sentence):
    with pytest.raises(HashbenchError, match=sentence):
        _spec(vit_block, **changes)


@pytest.fixture
def lite0(vit_block, shared, monkeypatch) -> Backbone:
    monkeypatch.setenv("HASHBENCH_WEIGHTS", str(shared / "data"))
    weights = {"file": "tf_efficientnet_lite0.safetensors", "sha256": LITE0_SHA}
    spec = _spec(vit_block, model="tf_efficientnet_lite0", arguments={}, size=128, weights=weights)
    return load_backbone(spec, published_weights(spec.weights))


def test_real_weights_give_the_features_of_a_plain_timm_loop(lite0, shared):
    import timm

    network = timm.create_model("tf_efficientnet_lite0").eval()
    network.load_state_dict(load_file(shared / "data/tf_efficientnet_lite0.safetensors"))
    with zipfile.ZipFile(shared / "data/cifar10-jpeg.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith("/0007.jpg")]
        images = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names])
    with torch.inference_mode():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        pictures = F.interpolate(pixels, (128, 128), mode="bicubic", antialias=True).clamp(-1, 1)
        maps = network.forward_features(pictures)
        pooled, tokens = lite0(lite0.prepare(images))
    assert tokens.shape == (len(names), 16, 1280)
    torch.testing.assert_close(pooled, maps.mean((2, 3)), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(tokens, maps.flatten(2).mT, atol=1e-2, rtol=1e-3)
    assert F.cosine_similarity(pooled, maps.mean((2, 3))).min() > 1 - 1e-6
