"""What params.yaml says of a backbone and of an augmentation: validated, frozen, and read without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hashbench.errors import HashbenchError

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Range = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Rates = dict[Annotated[str, Field(pattern="^[a-z_]*drop(_path)?_rate$")], Annotated[float, Field(ge=0, lt=1)]]
PerChannel = tuple[float, float, float]


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, name: str, block: Mapping[str, Any]) -> Self:
        """Check the block that stands at `name` in params.yaml. Raises HashbenchError that names the key."""
        try:
            return cls.model_validate(dict(block))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join((name, *map(str, first["loc"])))
            message = first["msg"].removeprefix("Value error, ")
            raise HashbenchError(f"params.yaml: {key}: {message[0].lower()}{message[1:]}") from None


class Augmentation(_Block):
    """How a random view of an image is drawn: SimCLR's recipe (Chen et al., ICML 2020, appendix A) as numbers.

    A window of `crop_scale` (least, most) of the image's area and of `crop_ratio` width to height becomes the whole
    picture. It is flipped left-right with probability `flip`. With probability `jitter`, brightness, contrast and
    saturation are scaled by factors from [1 - x, 1 + x] and the hue is turned by up to `hue` of a full circle, in
    random order. It becomes grey with probability `grey`, and is blurred with probability `blur` by a Gaussian of
    `blur_sigma` pixels of the view, cut off at `blur_width` pixels.
    """

    crop_scale: Range
    crop_ratio: Range
    flip: Probability
    jitter: Probability
    brightness: Annotated[float, Field(ge=0, le=1)]
    contrast: Annotated[float, Field(ge=0, le=1)]
    saturation: Annotated[float, Field(ge=0, le=1)]
    hue: Annotated[float, Field(ge=0, le=0.5)]
    grey: Probability
    blur: Probability
    blur_sigma: Range
    blur_width: Positive

    @model_validator(mode="after")
    def _is_drawable(self) -> Self:
        for name in ("crop_scale", "crop_ratio", "blur_sigma"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must be [least, most], got [{low}, {high}]")
        if self.crop_scale[1] > 1:
            raise ValueError(f"crop_scale is a share of the image's area, at most 1, got {self.crop_scale[1]}")
        if self.blur_width % 2 == 0:
            raise ValueError(f"blur_width must be odd, got {self.blur_width}")
        return self


class PublishedWeights(_Block):
    """Weights made elsewhere: the local file `file` (safetensors), or else that of a Hugging Face repository.

    `bytes`: about how large it is. `sha256`: of the file; `tensors_sha256`: of what it holds, see `tensors_digest`;
    where one is given, the file must have it, where both are, one of them. `hub` names a timm model's repository and
    `revision` the full hash of one of its commits, so that what is downloaded never changes; without it, the newest
    file is downloaded.
    """

    file: str
    bytes: Positive | None = None
    sha256: Sha256 | None = None
    tensors_sha256: Sha256 | None = None
    hub: Annotated[str, Field(pattern="^[\\w.-]+/[\\w.-]+$")] | None = None
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if not self.file.endswith(".safetensors"):
            raise ValueError(f"weights are read from .safetensors files alone, got {self.file}")
        if self.revision is not None and self.hub is None:
            raise ValueError("revision is that of a hub repository; name it under hub")
        return self

    @property
    def url(self) -> str | None:
        """The address of the file, where it has one."""
        if self.hub is None:
            return None
        return f"https://huggingface.co/{self.hub}/resolve/{self.revision or 'main'}/model.safetensors"


class Pretraining(_Block):
    """Weights trained here, without labels, on the train rows of the data set that they will describe.

    A denoising autoencoder (see `pretrain`), by AdamW with `weight_decay`; the learning rate rises to `learning_rate`
    over the first `warmup` (a share of all steps) and falls to zero along half a cosine.
    """

    epochs: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    warmup: Annotated[float, Field(gt=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]


class TextBanks(_Block):
    """Files of text embeddings in the space of a backbone's image embeddings; see `read_texts` for what they hold.

    `concepts`: of prompts that name one concept each, "a photo of the {concept}"; `nouns`: of generic nouns.
    """

    concepts: str | None = None
    nouns: str | None = None

    @model_validator(mode="after")
    def _are_files(self) -> Self:
        if not self.files:
            raise ValueError("texts must name a file of concepts, of nouns, or of both")
        for file in self.files.values():
            if not file.endswith(".safetensors"):
                raise ValueError(f"text embeddings are read from .safetensors files alone, got {file}")
        return self

    @property
    def files(self) -> dict[str, str]:
        """The files that are given, by the name of what they hold."""
        return {name: file for name, file in (("concepts", self.concepts), ("nouns", self.nouns)) if file is not None}


class BackboneSpec(_Block):
    """A frozen network and how it looks at an image.

    `model`: a name that timm knows; `arguments`: passed to its constructor (a ViT's `img_size`, `patch_size`,
    `embed_dim`, `depth`, `num_heads`). The middle square of `crop_pct` of the image's shorter side is resized to
    `size` x `size` pixels, scaled to [0, 1], and normalised by `mean` and `std`. `pool`: the image's feature is the
    mean of the patch tokens (`avg`), the class token (`cls`), what the classifier would see (`pre_logits`), or what the
    network's own last layer makes of that (`projected`), which of CLIP is the space that it shares with texts.
    Patch tokens are the last feature maps, or with `token_stride` the last of those that have one place for so many
    pixels a side. `texts`: given where the backbone is the image side of a vision-language model, so that the features
    lie in one space with these.
    """

    title: str
    model: str
    arguments: dict[str, bool | int | float | str] = {}
    weights: Annotated[PublishedWeights | Pretraining, Field(union_mode="left_to_right")]
    size: Positive
    crop_pct: Annotated[float, Field(gt=0, le=1)] = 1.0
    interpolation: Literal["bicubic", "bilinear"]
    mean: PerChannel
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    pool: Literal["avg", "cls", "pre_logits", "projected"]
    token_stride: Positive | None = None
    precision: Literal["fp32", "bf16", "fp16"]
    texts: TextBanks | None = None

    @model_validator(mode="after")
    def _leaves_weights_to_us(self) -> Self:
        # timm would unpickle a checkpoint, or download one of no fixed version.
        for key in ("pretrained", "checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "num_classes"):
            if key in self.arguments:
                raise ValueError(f"arguments must not hold '{key}'; weights are named under `weights`")
        return self


class BackboneTraining(_Block):
    """How a run trains a copy of the backbone along with each method's own network.

    The backbone learns at `learning_rate`, by the method's optimiser and schedule: all of it, or its `last_layers`
    groups of layers as timm numbers them. `batch_norm`: layers of BatchNorm use the batch's statistics (`training`) or
    keep those of the weights (`evaluation`). `rates` are, by backbone, the probabilities at which the network leaves
    things out at random, as timm's constructor calls them: `drop_rate`, `proj_drop_rate`, `drop_path_rate`, ...
    """

    learning_rate: Annotated[float, Field(gt=0)]
    last_layers: Positive | None = None
    batch_norm: Literal["training", "evaluation"]
    rates: dict[str, Rates] = {}
