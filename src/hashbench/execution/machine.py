"""The machine: its processor or GPU, and how many cores this process may use."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from hashbench.settings import settings


@cache
def device_name(device: str = "cpu") -> str:
    """The processor's or GPU's name and, for a processor, how many cores this process may use."""
    return processor_name(device) if device == "cuda" else f"{processor_name(device)}, {cores()} cores"


@cache
def processor_name(device: str = "cpu") -> str:
    """The name of the processor or GPU: results are the same bits on machines where it is the same."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    return _processor()


def cores() -> int:
    """How many cores this process may use: $HASHBENCH_CORES, else what the system grants."""
    if asked := settings().cores:
        return asked
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        described = ""
    return processor_of(described) or platform.processor() or platform.machine()


def processor_of(cpuinfo: str) -> str:
    """The name of the first processor that the text of /proc/cpuinfo describes, with family, model and stepping.

    Virtual machines call different kinds of processor by one name, such as 'AMD EPYC'; the numbers tell them apart.
    Empty where the text has no name.
    """
    first = cpuinfo.strip().partition("\n\n")[0]
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    numbers = {"family": "cpu family", "model": "model", "stepping": "stepping"}
    known = ", ".join(f"{name} {said[key]}" for name, key in numbers.items() if said.get(key))
    name = said.get("model name", "")
    return f"{name} ({known})" if name and known else name
