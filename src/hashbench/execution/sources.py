"""Links to the files that were put in place by hand, so that DVC sees when one of them is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashbench.artefacts import store
from hashbench.artefacts.layout import Layout
from hashbench.config.params import Params
from hashbench.data.base import Source
from hashbench.data.registry import files_by_hand
from hashbench.features.specs import PublishedWeights
from hashbench.settings import places, settings

_LISTS = "lists:"


def link_sources(params: Params, profile: str, layout: Layout) -> None:
    """Make the folder of links what is in place now: data files without an address, split lists, weights.

    DVC follows a link to a file and none to a folder, so a folder becomes links to all its files.
    """
    wanted = {layout.sources / name: target.resolve() for name, target in _targets(params, profile)}
    note = layout.sources / "README"
    store.write_text(note, "Links to the files that this profile reads and that were put in place by hand.\n")
    for old in [path for path in layout.sources.rglob("*") if path.is_symlink()]:
        if wanted.get(old) != old.resolve():
            old.unlink()
    for link, target in wanted.items():
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)


def _targets(params: Params, profile: str) -> Iterator[tuple[str, Path]]:
    """Each file that is in place, with the name of its link."""
    chosen = params.profile(profile)
    for name in chosen.datasets:
        block, folders = params.datasets[name], Source.default(name).folders
        for file in files_by_hand(block.kind, block.load_options):
            yield from _files(f"data/{file}", places(folders, file))
        if block.protocol.startswith(_LISTS):
            folder = block.protocol.removeprefix(_LISTS)
            yield from _files(f"lists/{name}", [Path(folder)])
    for name in chosen.backbones:
        weights = params.backbones[name].weights
        if isinstance(weights, PublishedWeights):
            yield from _files(f"weights/{weights.file}", places(settings().weights_folders, weights.file))
        texts = params.backbones[name].texts
        for file in texts.files.values() if texts else ():
            yield from _files(f"weights/{file}", places(settings().weights_folders, file))


def _files(link: str, places: list[Path]) -> Iterator[tuple[str, Path]]:
    """The file at the first of `places` that exists, or all files below it where it is a folder."""
    place = next((place for place in places if place.exists()), None)
    if place is None:
        return
    if place.is_file():
        yield link, place
        return
    for path in sorted(place.rglob("*")):
        if path.is_file():
            yield f"{link}/{path.relative_to(place).as_posix()}", path
