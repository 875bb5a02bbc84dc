"""What made the numbers of a table, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hashbench.fingerprint import digest_of
from hashbench.records import RunRecord
from hashbench.report.results import Results, Setting


def map_name(k: int | None) -> str:
    """How mAP with this cutoff is called."""
    return "mAP" if k is None else f"mAP@{k}"


def setting_map_name(results: Results, setting: Setting) -> str:
    """How mAP is called in a setting."""
    return map_name(results.any_run(setting).evaluation.k)


def provenance(results: Results, methods: Sequence[str], profile: str) -> tuple[str, ...]:
    """What made the numbers of these methods, one statement a line."""
    runs = [run for setting in results.settings for run in results.of_setting(setting, methods)]
    splits = dict.fromkeys(_split(results, setting) for setting in results.settings)
    rules = dict.fromkeys(_rule(results, setting) for setting in results.settings)
    fingerprints = sorted(run.fingerprint for run in runs)
    return (
        f"Profile: {profile}",
        f"Split: {'; '.join(splits)}",
        f"Backbone: {'; '.join(dict.fromkeys(map(results.backbone_title, results.settings)))}",
        f"Measure: {'; '.join(rules)}",
        f"Ties: {'; '.join(sorted({run.evaluation.ties for run in runs}))}",
        f"Seeds: {', '.join(map(str, sorted({run.seed for run in runs})))}",
        f"Versions: {_all_versions(runs)}",
        f"Device: {'; '.join(sorted({_device(run) for run in runs}))}",
        f"Fingerprint: {digest_of(fingerprints)} over {len(fingerprints)} runs",
        f"Evaluation code: {', '.join(sorted({run.evaluator for run in runs}))}",
    )


def _split(results: Results, setting: Setting) -> str:
    run = results.any_run(setting)
    counts = f"{run.n_query:,} query / {run.n_train:,} train / {run.n_database:,} database"
    return f"{results.dataset_title(setting)}: {run.split}, {counts}, digest {run.split_digest}"


def _device(run: RunRecord) -> str:
    return f"{run.fit.processor} ({run.fit.device}, {run.fit.precision})"


def _rule(results: Results, setting: Setting) -> str:
    evaluation = results.any_run(setting).evaluation
    empty = "count 0" if evaluation.empty == "zero" else "are left out"
    return (
        f"{results.dataset_title(setting)}: {map_name(evaluation.k)}, "
        f"AP divided by {evaluation.denominator.replace('_', ' ')}, queries without relevant items {empty}"
    )


def _counted(runs: Sequence[RunRecord]) -> dict[str, Counter[str]]:
    """Package -> version -> how many of these runs were made with it, by name."""
    found: dict[str, Counter[str]] = {}
    for run in runs:
        for package, number in run.fit.versions.items():
            found.setdefault(package, Counter())[number] += 1
    return dict(sorted(found.items()))


def _all_versions(runs: Sequence[RunRecord]) -> str:
    return ", ".join(f"{package} {' and '.join(sorted(numbers))}" for package, numbers in _counted(runs).items())


def version_notes(results: Results, methods: Sequence[str]) -> tuple[str, ...]:
    """A line that names each package of which these methods' runs were made with several versions; none otherwise."""
    runs = [run for setting in results.settings for run in results.of_setting(setting, methods)]
    mixed = {package: numbers for package, numbers in _counted(runs).items() if len(numbers) > 1}
    if not mixed:
        return ()
    told = (
        f"{package} {' and '.join(_with_count(*pair) for pair in sorted(n.items()))}" for package, n in mixed.items()
    )
    return (f"Made with different versions of {'; '.join(told)}.",)


def _with_count(version: str, runs: int) -> str:
    return f"{version} ({runs} run{'s' * (runs != 1)})"
