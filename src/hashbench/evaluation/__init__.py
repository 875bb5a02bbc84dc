"""Evaluation of binary codes: exact under ties, every metric from one pass. docs/evaluation.md has the definitions."""

from hashbench.evaluation.asymmetric import evaluate_asymmetric
from hashbench.evaluation.protocol import evaluate
from hashbench.evaluation.significance import PairedComparison, bootstrap_interval, paired_bootstrap
from hashbench.evaluation.statistics import code_statistics

__all__ = [
    "PairedComparison",
    "bootstrap_interval",
    "code_statistics",
    "evaluate",
    "evaluate_asymmetric",
    "paired_bootstrap",
]
