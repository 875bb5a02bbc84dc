"""All edits of the small checkout."""

from __future__ import annotations

from robustness.staleness.sources import SOURCES
from robustness.staleness.values import VALUES, VERSIONS

EDITS = (*SOURCES, *VALUES, *VERSIONS)
