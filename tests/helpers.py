"""What tests in several folders share: a small checkout, and the one way to run a command in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from warm import Warm

ROOT = Path(__file__).resolve().parents[1]
TINY: dict[str, Any] = {
    "datasets": ["digits"], "backbones": ["vit_micro"], "overrides": {}, "settings_of": None, "most_steps": None,
}  # fmt: skip
"""What makes the profile `quick` one for tests: images that scikit-learn brings, and a backbone of 64 dimensions."""


def make_checkout(
    folder: Path,
    methods: Sequence[str],
    *,
    datasets: Sequence[str] = ("digits",),
    bits: Sequence[int] = (16,),
    seeds: Sequence[int] = (0,),
    views: int = 2,
    epochs: int = 1,
    git: bool = False,
) -> Path:
    """Copy the code into `folder` with a profile `quick` of these methods, at `epochs` for all that is trained.

    `git`: make it a git repository, which DVC's experiments need.
    """
    for name in ("src", "baselines", "submissions"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    copy_pipelines(folder)
    for name in ("dvc.yaml", "profile.yaml", "uv.lock", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "results").mkdir()
    shutil.copy(ROOT / "results" / "published.csv", folder / "results")
    profile = {"datasets": [*datasets], "bits": [*bits], "seeds": [*seeds], "views": views}
    write_params(folder, small_params(methods, profile, epochs))
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    (folder / ".dvc" / "tmp").mkdir()
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    if git:
        run(folder, "git", "init", "--quiet")
    else:
        config = config.replace("[core]\n", "[core]\n    no_scm = true\n")
    (folder / ".dvc" / "config").write_text(config, encoding="utf-8")
    return folder


def copy_pipelines(folder: Path) -> None:
    """Copy the pipelines below pipelines/, all closed and none of them run."""
    of_this_clone = shutil.ignore_patterns("dvc.lock", ".dvcignore")
    shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=of_this_clone, symlinks=True)


def small_params(methods: Sequence[str], profile: dict[str, Any], epochs: int) -> dict[str, Any]:
    """params.yaml with these methods and one profile, `quick`, changed by `profile`."""
    params: dict[str, Any] = read_params(ROOT)
    quick = params["profiles"]["quick"] | TINY | profile
    params["profiles"] = {"quick": quick}
    keep_methods(params, methods)
    params["backbones"] = {name: params["backbones"][name] for name in quick["backbones"]}
    for block in params["methods"].values():
        if "epochs" in block:
            block["epochs"]["value"] = epochs
    for block in params["backbones"].values():
        block["weights"]["epochs"] = epochs
    return params | {"ablations": {}, "controls": [], "references": []}


def keep_methods(params: dict[str, Any], methods: Sequence[str]) -> None:
    """Take all other methods out of params.yaml, but not out of what names them: ablations, controls and references."""
    params["methods"] = {name: params["methods"][name] for name in methods}
    for blocks in (params["official"], params["search"]["spaces"]):
        for name in set(blocks) - set(methods):
            del blocks[name]


def from_yaml(text: str) -> Any:
    """What YAML says, as `yaml.safe_load` reads it, in a fraction of the time."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


def to_yaml(value: Any) -> str:
    """A value as YAML, keys in their order."""
    return yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False)


def read_params(folder: Path) -> dict[str, Any]:
    """The values of a checkout's params.yaml."""
    values: dict[str, Any] = from_yaml((folder / "params.yaml").read_text(encoding="utf-8"))
    return values


def write_params(folder: Path, params: dict[str, Any]) -> None:
    """Replace a checkout's params.yaml."""
    (folder / "params.yaml").write_text(to_yaml(params), encoding="utf-8")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The variables with which a command runs in `folder` and finds the code there."""
    return {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "200",
        **more,
    }


def run(
    folder: Path, *command: str, status: int | None = 0, timeout: float = 3600, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, with more variables; it must end with `status` (None: any).

    The limit is for what hangs: a test has one of its own.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert status is None or done.returncode == status, (
        f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


_warm = threading.local()


def run_warm(
    folder: Path, *command: str, status: int | None = 0, timeout: float = 3600, **more: str
) -> subprocess.CompletedProcess[str]:
    """As `run`, of `dvc`, `hashbench` or `python` in a checkout, on one core and without the seconds that starting an
    interpreter takes."""
    if not hasattr(_warm, "process") or not _warm.process.is_alive:
        _warm.process = Warm()
    done = _warm.process.run(folder, command, environment(folder, OMP_NUM_THREADS="1", **more), timeout)
    assert status is None or done.returncode == status, (
        f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


def dvc(folder: Path, *arguments: str, **more: Any) -> str:
    """What dvc prints in a checkout."""
    return run_warm(folder, "dvc", *arguments, **more).stdout


def hashbench(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command `hashbench` of a checkout."""
    return run_warm(folder, "hashbench", *arguments, **more)


def stage(folder: Path, name: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run one stage of the profile `quick` in a checkout, as DVC does."""
    return run_warm(folder, "python", "-m", f"hashbench.stages.{name}", "quick", *arguments, **more)


def stages_run(output: str) -> list[str]:
    """The names of the stages that `dvc repro` ran, from what it printed."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


EVERY_STAGE = """
import yaml
from hashbench.execution.command import run_guarded, set_up_log
from hashbench.stages import backbones, evaluate, features, fetch, fit, params, report, split

set_up_log()
methods = yaml.safe_load(open("params.yaml"))["methods"]
calls = [(stage,) for stage in (params, fetch, split, backbones, features)]
calls += [*((fit, "methods", method) for method in methods), (evaluate, "methods"), (report, "methods")]
for stage, *arguments in calls:
    assert run_guarded(lambda: stage.main("quick", *arguments)) == 0, stage
"""


def every_stage(folder: Path) -> str:
    """Run all stages of a checkout in one process, which is quicker than DVC; what they said."""
    return run_warm(folder, "python", "-c", EVERY_STAGE).stderr


def content_of_results(folder: Path) -> dict[str, bytes]:
    """Every file of a checkout's results of `quick` but for those of cost, which hold seconds, by name."""
    results = folder / "results" / "quick"
    files = {path.relative_to(results): path for path in sorted(results.rglob("*")) if path.is_file()}
    return {name.as_posix(): path.read_bytes() for name, path in files.items() if "cost" not in name.parts}


def differing(one: Mapping[str, object], other: Mapping[str, object]) -> set[str]:
    """The names under which two mappings do not hold the same."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def flip_a_byte(path: Path, place: int = -1) -> None:
    """Change one bit of one byte of a file, in place and under the mode that it has, as a disk that errs does."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_SET if place >= 0 else os.SEEK_END)
        (byte,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    path.chmod(mode)


def ablation(base: str, *variants: str) -> Any:
    """The ablation of a method whose variants are called as they are and compared with it."""
    from hashbench.report.bundle import Ablation, Variant

    return Ablation(base, tuple(Variant(name, name, base) for name in variants))


_AUDIT = """<script>
for (const details of document.querySelectorAll("details")) details.open = true;
window.addEventListener("load", async () => {
  const found = await axe.run(document, {preload: false, resultTypes: ["violations"]});
  const violations = found.violations.map((rule) => ({
    id: rule.id, impact: rule.impact, help: rule.help, nodes: rule.nodes.map((node) => node.html.slice(0, 160))}));
  const out = document.createElement("pre");
  out.id = "axe";
  out.textContent = JSON.stringify({passes: found.passes.length, violations});
  document.body.append(out);
});
</script>"""


def audit(text: str, chromium: Any, *flags: str, **where: Path) -> Any:
    """What axe-core, the rules of WCAG 2 as a program, says of a page: how many rules hold, and the violated ones."""
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    dom, _ = chromium(text.replace("</body>", f"<script>{axe}</script>{_AUDIT}</body>"), *flags, **where)
    found = re.search(r'<pre id="axe">(.*?)</pre>', dom, re.DOTALL)
    assert found, "axe-core did not end"
    return json.loads(unescape(found[1]))
