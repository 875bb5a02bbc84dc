"""Baselines, one file each. In a checkout they live in the top-level folder `baselines/`."""

from pathlib import Path

_checkout = Path(__file__).resolve().parents[3] / "baselines"
if _checkout.is_dir():
    __path__.append(str(_checkout))
