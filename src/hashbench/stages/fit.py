"""Fit one method: every (data set, backbone, code length, repetition) of a profile, and keep the codes.

A cell whose model and codes are whole and were made from the same is kept, so a rerun goes on where the last one
stopped. On a CPU cells run side by side, one core each, which is faster than many cores for one cell, and makes the
bits independent of how many cores there are. On a GPU the heads of a method are trained together.
"""

from __future__ import annotations

from dataclasses import replace

from hashbench.artefacts.layout import Group
from hashbench.execution.command import log, run_stage
from hashbench.execution.executors import Work, spread
from hashbench.fitter import Fitter
from hashbench.progress import track


def main(profile: str, group: Group, method: str) -> None:
    """Fit every cell of `method`, of a `group` of `profile`, that is not up to date."""
    fitter = Fitter.read(profile, group, method)
    fitter.layout.fits(method).mkdir(parents=True, exist_ok=True)  # what DVC looks for, empty where all is left out
    for why in dict.fromkeys(fitter.params.left_out.values()):
        log.warning("%s", why)
    cells = list(fitter.params.cells())
    stale = [cell for cell in cells if not fitter.is_up_to_date(cell)]
    if stale:
        batches = fitter.batches(stale)
        gpus = 1.0 if fitter.on_gpu else 0.0
        work = Work(replace(fitter).fit, fitter.reads, fitter.writes, gpus)  # a copy: without what stays on this host
        for _ in track(spread(work, batches), f"fit {method}", total=len(batches)):
            pass
    log.info("fit %s: %d cells fitted, %d kept", method, len(stale), len(cells) - len(stale))


if __name__ == "__main__":
    from hashbench.stages import fit  # by its name: other hosts look for what it defines there, not in __main__

    run_stage(fit.main, "profile", "group", "method")
