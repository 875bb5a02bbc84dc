"""docs/adding.md's way to a table of one's own images, followed line by line in a small checkout."""

from __future__ import annotations

import io
import re
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import ROOT, hashbench, make_checkout, read_params, run_warm, write_params
from PIL import Image

SECTION = "## A profile and data set of your own"
CLASSES = {"dark": 60, "grey": 120, "light": 180}  # mean grey level


def section() -> str:
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    return page.partition(f"\n{SECTION}\n")[2].partition("\n## ")[0]


def blocks(language: str) -> str:
    """The code blocks of the section that are written in a language."""
    return "".join(re.findall(rf"^```{language}\n(.*?)^```$", section(), re.MULTILINE | re.DOTALL))


def commands() -> list[list[str]]:
    """The commands of the section, without `uv run`: the tests run in the environment already."""
    lines = blocks("sh").splitlines()
    return [shlex.split(line, comments=True)[2:] for line in lines if line.startswith("uv run ")]


def write_zip(path: Path) -> None:
    """120 train and 20 test images of each class, 20 x 24 pixels."""
    rng = np.random.default_rng(0)
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for part, count in (("train", 120), ("test", 20)):
            for name, grey in CLASSES.items():
                for number, pixels in enumerate(rng.normal(grey, 30, (count, 20, 24, 3)).clip(0, 255)):
                    image = io.BytesIO()
                    Image.fromarray(pixels.astype(np.uint8)).save(image, "PNG")
                    archive.writestr(f"{part}/{name}/{number}.png", image.getvalue())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_leads_to_a_table_of_ones_own_images(tmp_path: Path) -> None:
    folder = make_checkout(tmp_path, ["lsh"])
    described = yaml.safe_load(blocks("yaml"))["datasets"]
    params = read_params(folder)
    write_params(folder, params | {"datasets": params["datasets"] | described})

    make, check, *rest = commands()
    run_warm(folder, *make)
    zip_file = Path("data") / described["my_images"]["file"]
    told = run_warm(folder, *check, status=2).stderr
    assert f"My images: {zip_file} is missing" in told
    assert "train/<class>/<image>" in told

    write_zip(folder / zip_file)
    assert "nothing is missing" in run_warm(folder, *check).stdout
    printed = [run_warm(folder, *command).stdout for command in rest]

    table, verified = printed[-2:]
    assert "| Method | My images, mAP@50<br>16 bits |" in table
    assert re.search(r"^\| LSH \| .*0\.\d{3}", table, re.MULTILINE)
    assert "per\\_class\\_10\\_100\\_without\\_train\\_30\\_300\\_90" in table
    assert verified == "results/mine: 1 of 1 runs recomputed from their codes, no differences\n"
    assert not (folder / "results" / "quick").exists()

    refused = hashbench(folder, "check", "mien", status=2).stderr
    assert "did you mean 'mine'" in refused


def test_the_page_tells_the_commands_of_the_session_that_does_it_all() -> None:
    """`nox -s reproduce_table1` runs what the page spells out."""
    make, *by_hand, verify = commands()
    assert make[:3] == ["hashbench", "new", "profile"]
    assert verify[:2] == ["hashbench", "verify"]
    session = (ROOT / "noxfile.py").read_text(encoding="utf-8").partition("def reproduce(")[2].partition("\ndef ")[0]
    steps = re.findall(r'run\(session, "(\w+)", (?:"--wait-for-lock", )?"(\w+)"', session)
    assert steps == [(command[0], command[1]) for command in by_hand]
