"""What a result was made with: versions of the packages that decide numbers, and the device."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("hashbench", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "numba")


@cache
def versions() -> dict[str, str]:
    """Python's and the packages' versions."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def device_name(device: str = "cpu") -> str:
    """The processor's or GPU's name and, for a processor, how many cores this process may use."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return f"{_processor()}, {cores()} cores"


def cores() -> int:
    """How many cores this process may use: $HASHBENCH_CORES, else what the system grants."""
    asked = os.environ.get("HASHBENCH_CORES", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open() as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
