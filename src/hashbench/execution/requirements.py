"""What a profile needs and has not: a pipeline, a GPU, weights, files of data sets, the Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from hashbench.config.params import Params
from hashbench.data.base import Source
from hashbench.data.fetch import FileSpec
from hashbench.data.registry import files_by_hand, load_dataset_module
from hashbench.errors import HashbenchError
from hashbench.execution.executors import check_executor
from hashbench.execution.pipelines import pipeline_of
from hashbench.features.specs import PublishedWeights
from hashbench.features.texts import find_texts
from hashbench.settings import places, settings


@dataclass(frozen=True)
class Missing:
    """Something that is not there: `text` says what, where it belongs, how large it is, and where to get it.

    `is_fetched`: whether a run fetches it by itself.
    """

    text: str
    is_fetched: bool = False


def missing_of(params: Params, profile: str) -> Iterator[Missing]:
    """Everything that `profile` lacks. Raises HashbenchError where there is no such profile."""
    chosen = params.profile(profile)
    yield from _pipeline(profile)
    if chosen.device == "cuda":
        yield from _gpu()
    for name in chosen.backbones:
        weights = params.backbones[name].weights
        if isinstance(weights, PublishedWeights):
            yield from _weights(weights)
        texts = params.backbones[name].texts
        for file in texts.files.values() if texts else ():
            if find_texts(file) is None:
                yield Missing(_sentence(settings().weights_folders, file, None, []))
    for name in chosen.datasets:
        block = params.datasets[name]
        yield from _files(block.title, block.kind, Source.default(name), block.load_options)
    try:
        check_executor(gpus=1.0 if chosen.device == "cuda" else 0.0)
    except HashbenchError as error:
        yield Missing(str(error))


def _pipeline(profile: str) -> Iterator[Missing]:
    path = pipeline_of(profile)
    if not path.is_file():
        yield Missing(f"{path} is missing: `hashbench new profile {profile}` makes it")


def _gpu() -> Iterator[Missing]:
    import torch

    if not torch.cuda.is_available():
        yield Missing("no CUDA GPU is visible")


def _weights(weights: PublishedWeights) -> Iterator[Missing]:
    folders = settings().weights_folders
    if any(path.is_file() for path in places(folders, weights.file)):
        return
    text = _sentence(folders, weights.file, weights.bytes, [weights.url] if weights.url else [])
    if weights.sha256 is None:
        text += "; no checksum of it is known, so it will not be verified"
    yield Missing(text, weights.url is not None and _can_be_fetched([weights.url]))


def _files(title: str, kind: str, source: Source, options: dict[str, object]) -> Iterator[Missing]:
    by_hand = files_by_hand(kind, options)
    specs = {spec.name: spec for spec in load_dataset_module(kind).FILES}
    for name in specs | by_hand:
        if any(path.exists() for path in places(source.folders, name)):
            continue
        spec = specs.get(name, FileSpec(name))
        text = f"{title}: {_sentence(source.folders, name, spec.size, spec.urls)}"
        yield Missing(f"{text}: {by_hand[name]}" if name in by_hand else text, _can_be_fetched(spec.urls))


def _sentence(folders: Sequence[Path], name: str, size: int | None, urls: Sequence[str]) -> str:
    places = " or ".join(str(folder / name) for folder in folders)
    told = f"{places} is missing ({_in_words(size)})"
    return f"{told}, from {' or '.join(urls)}" if urls else told


def _in_words(size: int | None) -> str:
    if size is None:
        return "size unknown"
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def _can_be_fetched(urls: Sequence[str]) -> bool:
    return bool(urls) and not settings().offline and any(map(_answers, urls))


def _answers(url: str) -> bool:
    """Whether an address answers a request for its head."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=10):
            return True
    except OSError:
        return False
