"""The project's commands. Every session works in one locked environment, `.venv`, which uv owns.

A session needs nothing installed beforehand: uv is taken from the PATH, from the `nox[uv]` extra, or put into
`.nox/uv` by pip.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import venv
from pathlib import Path
from urllib.request import urlopen

import nox
from nox.command import CommandFailed

nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests"]

ROOT = Path(__file__).parent.resolve()
ENVIRONMENT = {
    "UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv"),
    "VIRTUAL_ENV": None,
    "PYTHONPATH": None,
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": None,  # without bytecode each of the many processes would compile torch anew
    "DVC_NO_ANALYTICS": "1",
}


def uv_command(session: nox.Session) -> str:
    """The uv to use, installed into `.nox/uv` where there is none."""
    for found in (os.environ.get("UV"), shutil.which("uv")):
        if found:
            return found
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        home = ROOT / ".nox" / "uv"
        if not (home / "bin" / "uv").exists():
            venv.create(home, with_pip=True, clear=True)
            session.run(str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv", external=True)
        return str(home / "bin" / "uv")


def sync(session: nox.Session, *options: str) -> None:
    """Make `.venv` what uv.lock says. torchsort is the one package built from source; all else works without it."""
    command = (uv_command(session), "sync", "--locked", "--quiet", *options)
    try:
        session.run(*command, external=True, env=ENVIRONMENT)
    except CommandFailed:
        session.run(*command, "--no-install-package", "torchsort", external=True, env=ENVIRONMENT)
        session.warn(
            "torchsort could not be built (it needs a C++ compiler and the Python headers, and a CUDA toolkit only "
            "with TORCHSORT_CUDA=1): everything works but the sorter option 'torchsort'."
        )


def run(session: nox.Session, *command: str) -> None:
    """Run a command of `.venv`."""
    session.run(uv_command(session), "run", "--no-sync", *command, external=True, env=ENVIRONMENT)


def pipeline_of(profile: str) -> str:
    """The pipeline file of a profile."""
    return "dvc.yaml" if profile == "quick" else f"pipelines/{profile}/dvc.yaml"


def taken(arguments: list[str], option: str, default: str) -> str:
    """Take `option VALUE` out of the arguments; its value."""
    if option not in arguments:
        return default
    place = arguments.index(option)
    if place + 1 == len(arguments):
        raise SystemExit(f"nox: {option} needs a value")
    value = arguments[place + 1]
    del arguments[place : place + 2]
    return value


def reproduce(session: nox.Session, *shown: str) -> None:
    """Bring a profile's results up to date (`-- --profile NAME`, default quick) and show some of them.

    `-- --executor ray --address HOST:PORT` fits the cells on a Ray cluster; docs/cluster.md tells how.
    """
    arguments = list(session.posargs)
    profile = taken(arguments, "--profile", "quick")
    executor = taken(arguments, "--executor", os.environ.get("HASHBENCH_EXECUTOR", "local"))
    address = taken(arguments, "--address", os.environ.get("HASHBENCH_RAY_ADDRESS", "auto"))
    session.env.update(HASHBENCH_EXECUTOR=executor, HASHBENCH_RAY_ADDRESS=address)
    sync(session, *(["--extra", "cluster"] if executor == "ray" else []))
    start = time.monotonic()
    run(session, "hashbench", "check", profile)
    run(session, "dvc", "--wait-for-lock", "repro", *arguments, pipeline_of(profile))
    for name in shown:
        run(session, "hashbench", "show", name, "--profile", profile)
    session.log(f"profile {profile}: up to date after {time.monotonic() - start:.0f} s")


def beside(session: nox.Session, group: str, table: str) -> None:
    """Bring a profile's results up to date, then those of a group beside its methods, and show its table."""
    profile = taken(list(session.posargs), "--profile", "quick")
    reproduce(session)
    run(session, "hashbench", "check", profile, f"--{group}")
    run(session, "dvc", "--wait-for-lock", "repro", f"pipelines/{profile}-{group}/dvc.yaml")
    run(session, "hashbench", "show", table, "--profile", profile)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite."""
    sync(session, "--group", "docs")  # the built site is tested too
    cluster = "tests/execution/ray"  # two Ray nodes want the cores for themselves
    workers = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")  # the order is that of tests/conftest.py
    run(session, "pytest", *workers, *(session.posargs or [f"--ignore={cluster}"]))
    if not session.posargs:
        run(session, "pytest", cluster)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff (lint and format), mypy --strict, who may import whom, and known vulnerabilities of locked packages."""
    sync(session, "--group", "lint")
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    run(session, "mypy")
    run(session, "lint-imports")
    audit(session)


def audit(session: nox.Session) -> None:
    """Look every locked package up in PyPI's list of known vulnerabilities; where it cannot be asked, say so."""
    index = (ROOT / "uv.lock").read_text().partition('registry = "')[2].partition('/simple"')[0]
    try:
        with urlopen(f"{index}/pypi/pip/25.0/json", timeout=10) as answer:
            answers = "vulnerabilities" in json.load(answer)
    except (OSError, ValueError):
        answers = False
    if not answers:
        session.warn("pip-audit is skipped: PyPI's list of vulnerabilities cannot be reached from here.")
        return
    locked = ROOT / ".nox" / "locked.txt"
    export = ("export", "--locked", "--quiet", "--all-groups", "--all-extras", "--no-emit-project")
    session.run(uv_command(session), *export, "--output-file", str(locked), external=True, env=ENVIRONMENT)
    run(session, "pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "-r", str(locked))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into `site/`; a broken link fails."""
    sync(session, "--group", "docs")
    run(session, "mkdocs", "build")


@nox.session
def reproduce_table1(session: nox.Session) -> None:
    """Regenerate Table 1 of a profile: `nox -s reproduce_table1 -- --profile cpu`."""
    reproduce(session, "table1")


@nox.session
def reproduce_table2(session: nox.Session) -> None:
    """Regenerate Table 2 (precision, Hamming radius 2, tie bounds)."""
    reproduce(session, "table2")


@nox.session
def reproduce_table3(session: nox.Session) -> None:
    """Regenerate Table 3 (cost)."""
    reproduce(session, "table3")


@nox.session
def reproduce_figures(session: nox.Session) -> None:
    """Regenerate the figures and the report page."""
    reproduce(session, "figures")


@nox.session
def ablations(session: nox.Session) -> None:
    """Run the ablations of the methods under study: `nox -s ablations -- --profile cifar10-jpeg`."""
    beside(session, "ablations", "ablation")


@nox.session
def official(session: nox.Session) -> None:
    """Run the methods with official settings, beside the searched ones: `nox -s official -- --profile cifar10-jpeg`."""
    beside(session, "official", "official")


@nox.session
def search(session: nox.Session) -> None:
    """Search the hyperparameters of a profile's methods on its train rows: `nox -s search -- --profile cifar10-jpeg`.

    Takes hours; one that was ended goes on. What it chose stands in results/<profile>/search/choices.csv.
    """
    arguments = list(session.posargs)
    profile = taken(arguments, "--profile", "quick")
    sync(session, "--extra", "search")
    run(session, "hashbench", "check", profile, "--search")
    run(session, "dvc", "--wait-for-lock", "repro", f"{pipeline_of(profile)}:features")
    run(session, "dvc", "--wait-for-lock", "repro", *arguments, f"pipelines/search-{profile}/dvc.yaml")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed as ratios against named alternatives in the same run; writes results/bench/."""
    sync(session, "--group", "bench")
    for script in sorted((ROOT / "benchmarks").glob("*.py")):
        run(session, "python", str(script.relative_to(ROOT)))


@nox.session
def robustness(session: nox.Session) -> None:
    """Run the long forms of tests/robustness, hours of them, and write docs/reliability.md (`-- -k crash`: some)."""
    sync(session, "--group", "robustness")
    long = ("env", "HASHBENCH_ROBUSTNESS=long", "pytest", "tests/robustness", "--timeout=0", *session.posargs)
    run(session, *long)
    run(session, "python", "tests/robustness/report.py")
