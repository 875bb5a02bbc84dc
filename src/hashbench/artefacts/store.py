"""The only reader and writer of artefacts.

An artefact is one data file (`.npy` or `.safetensors`) and a sidecar of the same name with `.json` added, which holds
the data file's sha256 and whatever its writer says of it. Both are replaced atomically: a file without a valid
sidecar does not exist. Every whole read checks the sha256. Sidecars and records are sealed: a reader finds any byte of
them that changed. What is written again with the same content is left as it lies.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import logging
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from hashbench.errors import HashbenchError
from hashbench.fingerprint import digest_of
from hashbench.types import Array

log = logging.getLogger("hashbench")

Model = TypeVar("Model", bound=BaseModel)

_BLOCK = 1 << 22
_SEAL = "seal"
_NO_SEAL = "0" * 64


class DamagedError(HashbenchError):
    """A file is there and is not what was written: `path`, and `why` that is known."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is damaged ({why}); delete it and run `dvc repro`")
        self.path, self.why = path, why

    def __reduce__(self) -> tuple[type[DamagedError], tuple[Path, str]]:
        return DamagedError, (self.path, self.why)  # on its way home from another process

    def warn(self) -> None:
        """Name the file in the log where it is about to be made again."""
        log.warning("%s is damaged (%s); it is made again", self.path, self.why)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; move it into place when the block ends without an error.

    What killed writers of the same file left on this machine is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(f"{glob.escape(ours)}*.tmp"):
        if not _is_alive(left.suffixes[-2][1:]):
            left.unlink(missing_ok=True)
    temporary = path.with_name(f"{ours}{os.getpid()}.tmp")
    try:
        with naming(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name `path`: a full disk does not say for which file it had no room."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        pass
    return True


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_text_if_other(path: Path, text: str) -> None:
    """Replace a text file atomically, unless it lies there with this content."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically, keys in the order given."""
    write_text(path, _json_text(value))


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises HashbenchError where it is missing or not JSON."""
    return _parsed(path, _bytes_of(path))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise HashbenchError(f"{path} is missing; run `dvc repro` to make it") from None


def _parsed(path: Path, content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, f"no JSON: {error}") from None


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file atomically, with a seal by which `read_sealed` finds any byte that changed."""
    write_text_if_other(path, _sealed(value))


def _sealed(value: Mapping[str, Any]) -> str:
    return _json_text({**value, _SEAL: digest_of(value)})


def read_sealed(path: Path) -> dict[str, Any]:
    """The value of a JSON file that `write_sealed` wrote, byte by byte, else HashbenchError."""
    content = _bytes_of(path)
    value = _parsed(path, content)
    if isinstance(value, dict):
        value.pop(_SEAL, None)
        with contextlib.suppress(RecursionError):  # deeper than anything that is written here
            if _sealed(value).encode("utf-8", "replace") == content:
                return value
    raise DamagedError(path, "its seal is not that of its content")


def read_sealed_as(path: Path, model: type[Model]) -> Model:
    """As `read_sealed`, as a value of `model`: HashbenchError too where a key lacks, is unknown or of a wrong type."""
    return validated(path, read_sealed(path), model)


def validated(path: Path, value: Mapping[str, Any], model: type[Model]) -> Model:
    """What the file at `path` says, as a value of `model`. Raises DamagedError where it is none."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = f"it has no '{where}'" if first["type"] == "missing" else f"{where}: {first['msg']}"
        raise DamagedError(path, said) from None


def read_sealed_if_whole(path: Path, model: type[Model]) -> Model | None:
    """As `read_sealed_as`; None where there is no file or, with a warning that names it, a damaged one."""
    try:
        return read_sealed_as(path, model) if path.is_file() else None
    except DamagedError as error:
        error.warn()
        return None


def sidecar(path: Path) -> Path:
    """The path of an artefact's sidecar."""
    return path.with_name(path.name + ".json")


def write_tensors(path: Path, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write named arrays as one `.safetensors` artefact."""
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    _write(path, hashlib.sha256(content).hexdigest(), lambda file: file.write(content), about)


def write_array(path: Path, array: Array, about: Mapping[str, Any]) -> None:
    """Write one array as a `.npy` artefact, which can be mapped into memory."""

    def write_to(write: Callable[[bytes], object]) -> None:
        np.lib.format.write_array(_Sink(write), array, allow_pickle=False)

    sha = hashlib.sha256()
    write_to(sha.update)
    _write(path, sha.hexdigest(), lambda file: write_to(file.write), about)


class _Sink(NamedTuple):
    """What NumPy takes for a file; into a real one it writes with an error that does not say that the disk is full."""

    write: Callable[[bytes], object]


def _write(path: Path, sha256: str, write: Callable[[BinaryIO], object], about: Mapping[str, Any]) -> None:
    """Put a data file of known sha256 and its sidecar in place, unless they lie there undamaged.

    The sha256 is that of what was to be written, so another writer, or a disk that errs, cannot get a valid sidecar.
    """
    if not path.is_file() or sha256_of(path) != sha256:
        with replacing(path) as temporary, temporary.open("wb") as file:
            write(file)
    write_sealed(sidecar(path), {"sha256": sha256, **about})


def read_tensors(path: Path, names: Iterable[str] = ()) -> dict[str, Array]:
    """Read a `.safetensors` artefact whole, after checking its sha256; the arrays called `names` are among it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    expected, content = about(path)["sha256"], _bytes_of(path)
    if hashlib.sha256(content).hexdigest() != expected:
        raise DamagedError(path, _OTHER_SHA)
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(path, f"no tensors: {error}") from None
    for name in names:
        if name not in arrays:
            raise DamagedError(path, f"it has no '{name}'")
    return arrays


_OTHER_SHA = "its sha256 is not the recorded one"


def about(path: Path) -> dict[str, Any]:
    """The sidecar of an artefact, without reading its data."""
    value = read_sealed(sidecar(path))
    if not isinstance(value.get("sha256"), str):
        raise DamagedError(sidecar(path), "it names no sha256")
    return value


def about_as(path: Path, model: type[Model]) -> Model:
    """As `about`, the sha256 aside, as a value of `model`."""
    return validated(sidecar(path), {name: each for name, each in about(path).items() if name != "sha256"}, model)


def check(path: Path) -> None:
    """Raise HashbenchError unless the data file has the sha256 that its sidecar names."""
    expected = about(path)["sha256"]
    if not path.is_file():
        raise HashbenchError(f"{path} is missing; run `dvc repro` to make it")
    if sha256_of(path) != expected:
        raise DamagedError(path, _OTHER_SHA)


def is_whole(path: Path, **expected: Any) -> bool:
    """Whether an undamaged artefact lies at `path` whose sidecar holds all the `expected` values.

    A damaged one is named in the log: whoever asks makes it again.
    """
    try:
        found = about(path)
        if any(found.get(name) != value for name, value in expected.items()):
            return False
        check(path)
    except DamagedError as error:
        error.warn()
        return False
    except HashbenchError:
        return False
    return True


def warn_of_damage(*paths: Path) -> None:
    """Log the name of each artefact or sealed file that is there but damaged, before it is made again."""
    for path in paths:
        try:
            if path.suffix == ".json":
                read_sealed(path)
            else:
                check(path)
        except DamagedError as error:
            error.warn()
        except HashbenchError:
            pass  # it is not there


def open_array(path: Path) -> Array:
    """Memory-map a `.npy` artefact, read-only, after checking its sha256."""
    check(path)
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise DamagedError(path, f"no plain array: {error}") from None
    return array


def write_plain_tensors(path: Path, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> None:
    """Write named arrays as one `.safetensors` file without a sidecar: its header says `about` and seals every byte."""
    from safetensors.numpy import save

    # One entry: safetensors writes several in no fixed order.
    metadata = {"about": json.dumps({**about, _SEAL: _NO_SEAL}, sort_keys=True)}
    unsealed = save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}, metadata)
    content = unsealed.replace(_NO_SEAL.encode(), hashlib.sha256(unsealed).hexdigest().encode(), 1)
    if not path.is_file() or path.read_bytes() != content:
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def read_plain_tensors(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a file that `write_plain_tensors` wrote, byte by byte, and what it says of itself."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = _bytes_of(path)
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = dict(json.loads(header["__metadata__"]["about"]))
        seal = str(about.pop(_SEAL))
        if hashlib.sha256(content.replace(seal.encode(), _NO_SEAL.encode(), 1)).hexdigest() != seal:
            raise DamagedError(path, "its seal is not that of its content")
        return load(content), about
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(path, f"no tensors: {error}") from None
