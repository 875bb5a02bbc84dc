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
        with Path("/proc/cpuinfo").open() as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
