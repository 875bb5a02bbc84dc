"""What made the numbers of a table, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hashbench.report.results import Results, Setting, digest_of
from hashbench.types import RunRecord


def map_name(k: int | None) -> str:
    """How mAP with this cutoff is called."""
    return "mAP" if k is None else f"mAP@{k}"


def provenance(results: Results, settings: Sequence[Setting], methods: Sequence[str], profile: str) -> tuple[str, ...]:
    """What made the numbers of these settings and methods, one statement a line."""
    runs = [run for setting in settings for run in results.of_setting(setting, methods)]
    splits = {
        f"{run.dataset_title}: {run.split}, {run.n_query:,} query / {run.n_train:,} train / "
        f"{run.n_database:,} database, digest {run.split_digest}": None
        for run in (results.any_run(setting) for setting in settings)
    }
    rules = {f"{run.dataset_title}: {_rule(run)}": None for run in (results.any_run(s) for s in settings)}
    programs = sorted({run.program_digest for run in runs})
    program = programs[0] if len(programs) == 1 else f"{digest_of(programs)} over {len(programs)} programs"
    return (
        f"Profile: {profile}",
        f"Split: {'; '.join(splits)}",
        f"Backbone: {'; '.join(dict.fromkeys(results.any_run(s).backbone_title for s in settings))}",
        f"Measure: {'; '.join(rules)}",
        f"Ties: {'; '.join(sorted({run.ties for run in runs}))}",
        f"Seeds: {', '.join(map(str, sorted({run.seed for run in runs})))}",
        f"Versions: {_versions([run.versions for run in runs])}",
        f"Device: {'; '.join(sorted({run.device for run in runs}))}",
        f"Code and params: {program}",
    )


def _rule(run: RunRecord) -> str:
    empty = "count 0" if run.empty == "zero" else "are left out"
    return (
        f"{map_name(run.k)}, AP divided by {run.denominator.replace('_', ' ')}, queries without relevant items {empty}"
    )


def _versions(versions: Sequence[Mapping[str, str]]) -> str:
    names = sorted({name for found in versions for name in found})
    return ", ".join(f"{n} {' and '.join(sorted({found[n] for found in versions if n in found}))}" for n in names)
