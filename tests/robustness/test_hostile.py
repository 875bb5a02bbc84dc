"""Hostile files: whatever is downloaded or handed over is refused with one sentence, and never executed.

Archives (paths that lead outside, links, devices, bombs) and downloads have their tests in tests/data.
"""

from __future__ import annotations

import ast
import io
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashbench.artefacts import store
from hashbench.config.params import load_params
from hashbench.data.images import BadImageError, decode
from hashbench.errors import HashbenchError
from hashbench.evaluation.readers import read_items
from hashbench.report.published import open_published

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "baselines").glob("*.py")])
NAMES = ("query_codes", "db_codes", "query_labels", "db_labels")
CODES = np.array([[0, 0], [0, 1], [1, 1]], np.uint8)
LABELS = np.array([0, 1, 0])


class Payload:
    """What executes code as soon as it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.flag,)


def refused(action: Callable[[], Any], *names: str) -> str:
    """The message of a refusal: one printable line that names what it must."""
    with pytest.raises(HashbenchError) as error:
        action()
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 1500
    for name in names:
        assert name in message
    return message


# Codes files.


def npz(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npy_header(descr: str, shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def good_members() -> dict[str, bytes]:
    return dict(zip(NAMES, map(npy, (CODES[:1], CODES, LABELS[:1], LABELS)), strict=True))


def test_an_npz_with_pickled_objects_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    flag = tmp_path / "executed"
    objects = np.array([[Payload(flag), Payload(flag)]], dtype=object)
    path = npz(tmp_path / "codes.npz", {**good_members(), "db_codes": npy(objects)})
    refused(lambda: read_items(str(path)), "codes.npz", "plain arrays")
    assert not flag.exists()


@pytest.mark.parametrize(
    "member",
    [
        npy_header("'<f8'", "(1000000000000, 64)"),
        npy_header("'<f8'", "(-1, 2)"),
        npy_header("'<f8'", "(10**9, 10**9)"),
        npy_header("'|O'", "(2, 2)", pickle.dumps([1, 2, 3, 4])),
        npy_header("[('a', '<f4'), ('b', '|O')]", "(2,)"),
        npy_header("'|V100000'", "(3, 2)"),
        npy_header("__import__('os')", "(2, 2)"),
        npy_header("'<f4'", "(" * 300 + ")" * 300),
        npy_header("'<f4'", "(3, 2)", b"\0" * 3),
        npy_header("'<c8'", "(3, 2)", b"\0" * 48),
        npy_header("'<U4'", "(3, 2)", b"\0" * 96),
        b"\x93NUMPY\xff\xff" + b"\xff" * 40,
        pickle.dumps(CODES),
        b"",
    ],
    ids=range(14),
)
def test_a_hostile_member_of_an_npz_is_refused(tmp_path: Path, member: bytes) -> None:
    path = npz(tmp_path / "codes.npz", {**good_members(), "db_codes": member})
    refused(lambda: read_items(str(path)))


def test_a_bomb_of_an_npz_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    zeros = npy_header("'|u1'", "(8000000, 64)", bytes(512_000_000))
    path = npz(tmp_path / "codes.npz", {**good_members(), "db_codes": zeros}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    refused(lambda: read_items(str(path)), "codes.npz", "bomb")


def test_a_codes_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    (tmp_path / "folder.npz").mkdir()
    for name in ("loop.npz", "folder.npz", "nowhere.npz"):
        refused(lambda name=name: read_items(str(tmp_path / name)), name)
    refused(lambda: read_items("/dev/zero"), "/dev/zero")


# Our own artefacts.


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 10**9) + b"{}",
        struct.pack("<Q", 2) + b"{}" + b"left over",
        struct.pack("<Q", 60) + b'{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8]}}'[:60],
        struct.pack("<Q", 66) + b'{"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8]}}' + b"\0" * 8,
        struct.pack("<Q", 5) + b'{"a":',
        b"",
        pickle.dumps({"a": CODES}),
    ],
    ids=range(8),
)
def test_a_hostile_safetensors_file_is_refused_even_with_a_matching_checksum(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "codes.safetensors"
    store.write_tensors(path, {"a": CODES}, {})
    path.write_bytes(content)
    refused(lambda: store.read_tensors(path), "codes.safetensors")
    store.write_sealed(store.sidecar(path), {"sha256": store.sha256_of(path)})
    refused(lambda: store.read_tensors(path), "codes.safetensors")


def test_an_array_with_objects_is_never_unpickled(tmp_path: Path) -> None:
    path, flag = tmp_path / "pooled.npy", tmp_path / "executed"
    store.write_array(path, CODES, {})
    path.write_bytes(npy(np.array([Payload(flag)], dtype=object)))
    store.write_sealed(store.sidecar(path), {"sha256": store.sha256_of(path)})
    refused(lambda: store.open_array(path), "pooled.npy")
    assert not flag.exists()


# Text.


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5000,
        b'{"a": "\xff"}',
        b"\x00",
        b"",
        b"NaN",
        b'{"sha256": ["a"]}',
        b"\xef\xbb\xbf{}",
        b'{"a": 1} {"a": 1}',
        b'"\\ud800"',
    ],
    ids=range(11),
)
def test_hostile_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "codes.safetensors"
    store.write_tensors(path, {"a": CODES}, {})
    store.sidecar(path).write_bytes(content)
    refused(lambda: store.about(path), "codes.safetensors")


def aliases(depth: int) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (aliases(30), "aliases"),
        (b"base_seed: &a {x: *a}", "YAML"),
        (b"&a [*a, *a]", "YAML"),
        (b"[" * 20_000, "YAML"),
        (b"{a: " * 20_000, "YAML"),
        (b"- " * 20_000, "YAML"),
        (b"a: !!python/object/apply:os.system [touch executed]", "YAML"),
        (b"!!python/name:os.system", "YAML"),
        (b"base_seed: " + b"9" * 5000, "YAML"),
        (b"base_seed: 2024-99-99", "YAML"),
        (b"base_seed: \xff", "YAML"),
        (b"base_seed: \x00", "YAML"),
        (b"? [a, b]\n: 1", "YAML"),
        (b"a: b: c", "YAML"),
        (b"x: 1\n" * 20_000, "twice"),
        (b"\n".join(b"k%d: 1" % n for n in range(20_000)), "missing"),
        (b"# " + b"x" * 300_000, "larger than"),
        (b'"\\e[2J\\n": 1', "missing"),
    ],
    ids=range(18),
)
def test_hostile_yaml_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    refused(lambda: load_params(tmp_path / "params.yaml"), "params.yaml", says)
    assert not (tmp_path / "executed").exists()


def test_params_that_are_no_file_are_refused(tmp_path: Path) -> None:
    refused(lambda: load_params(tmp_path), str(tmp_path))
    refused(lambda: load_params(Path("/dev/zero")), "/dev/zero")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"\x00" * 100,
        b"method,dataset\n",
        b'"' + b"a" * 200_000,
        b"method,dataset,protocol,backbone,k,bits,value,source,verified,note\n" + b"," * 1000 + b"\n",
        b"method,dataset,protocol,backbone,k,bits,value,source,verified,note\na,b,1/2/3,c,all,16,nan,s,yes,\n",
        b"method,dataset,protocol,backbone,k,bits,value,source,verified,note\na,b,1/2/3,c,all,16,1e400,s,yes,\n",
        b"method,dataset,protocol,backbone,k,bits,value,source,verified,note\na,b,1/2/3,c,all,-16,0.5,s,yes,\n",
    ],
    ids=range(9),
)
def test_a_hostile_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "published.csv").write_bytes(content)
    refused(lambda: open_published(tmp_path / "published.csv"), "published.csv")


# Images.


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [png(100_000, 100_000), png(2**31 - 1, 2**31 - 1), png(0, 0), png(64, 64)[:40], b"GIF89a", b"", b"\0" * 1000],
    ids=["10 gigapixels", "largest", "empty", "cut", "header", "nothing", "zeros"],
)
def test_a_hostile_image_is_refused(content: bytes) -> None:
    with pytest.raises(BadImageError, match=r"^evil\.png: image cannot be decoded"):
        decode(content, "evil.png")


# The program itself.


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    found = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [(ast.unparse(node.func), node) for node in found]


def keywords(call: ast.Call) -> dict[str, str]:
    return {str(keyword.arg): ast.unparse(keyword.value) for keyword in call.keywords}


def test_nothing_is_unpickled_or_evaluated() -> None:
    forbidden = {"pickle.load", "pickle.loads", "pickle.Unpickler", "eval", "yaml.unsafe_load", "yaml.full_load"}
    forbidden |= {"joblib.load", "pandas.read_pickle", "pd.read_pickle", "np.fromfile", "os.system", "marshal.loads"}
    for path in SOURCES:
        assert not forbidden & {name for name, _ in calls(path)}, path
        assert "extractall" not in path.read_text(encoding="utf-8"), path


def test_every_loader_that_could_unpickle_is_told_not_to() -> None:
    for path in SOURCES:
        for name, call in calls(path):
            if name in ("np.load", "numpy.load"):
                assert keywords(call).get("allow_pickle") == "False", f"{path}:{call.lineno}"
            if name == "torch.load":
                assert keywords(call).get("weights_only") == "True", f"{path}:{call.lineno}"
            if name == "yaml.load":
                assert "SafeLoader" in path.read_text(encoding="utf-8"), f"{path}:{call.lineno}"
            if "timm" in name or name.endswith("create_model"):
                assert keywords(call).get("pretrained", "False") == "False", f"{path}:{call.lineno}"


def test_the_one_pickled_data_set_is_checked_before_it_is_read_and_builds_arrays_alone(tmp_path: Path) -> None:
    from hashbench.data import cifar10

    (spec,) = cifar10.FILES
    assert spec.size
    assert spec.md5 or spec.sha256
    flag = tmp_path / "executed"
    reader = cifar10._ArraysOnly(io.BytesIO(pickle.dumps(Payload(flag))), encoding="latin1")
    refused(reader.load, "refused")
    assert not flag.exists()
    assert [path.name for path in SOURCES if "import pickle" in path.read_text(encoding="utf-8")] == ["cifar10.py"]


def test_every_file_that_is_downloaded_has_a_checksum_or_is_a_list_of_a_pinned_commit() -> None:
    from hashbench.data.registry import dataset_kinds, load_dataset_module

    for kind in dataset_kinds():
        for spec in load_dataset_module(kind).FILES:
            pinned = spec.name.endswith(".txt") and all(re.search("/[0-9a-f]{40}/", url) for url in spec.urls)
            assert not spec.urls or spec.md5 or spec.sha256 or pinned, f"{kind}: {spec.name}"


@pytest.mark.timeout(600)
def test_figures_of_hostile_files(long: bool, figures: Callable[..., None], request: pytest.FixtureRequest) -> None:
    tried = [item for item in request.session.items if Path(str(item.fspath)) == Path(__file__)][:-1]
    if request.session.testsfailed:
        pytest.skip("some failed; there is nothing to report")
    by_group = {
        "codes files (.npz)": ("npz", "codes_file"),
        "artefacts (.safetensors, .npy)": ("safetensors", "array_with_objects"),
        "JSON": ("json",),
        "YAML": ("yaml", "params_that"),
        "CSV": ("csv",),
        "images": ("image",),
        "rules of the source code": ("nothing_is", "every_loader", "data_set_is_checked", "downloaded"),
    }
    figures(
        "hostile_files",
        title="Hostile files",
        says="Files made to mislead a parser, one test each: every one is refused with one printable line, runs no "
        "code and fills no memory. Archives (paths that lead outside, links, bombs) are in `tests/data`.",
        figures={
            "hostile files and rules tried": len(tried),
            **{
                name: sum(any(word in item.name for word in words) for item in tried)
                for name, words in by_group.items()
            },
        },
        remarks=["No source file unpickles; `np.load` always has `allow_pickle=False`. The one data set whose "
                 "publisher ships pickles is read after its checksum, by a reader that builds arrays alone."],
    )  # fmt: skip
