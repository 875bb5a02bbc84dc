"""What `hashbench fit` and `hashbench validate` share: a method, of params.yaml or one's own, and settings to try."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashbench.commands.options import add_profile, whole_number
from hashbench.errors import HashbenchError

if TYPE_CHECKING:
    from hashbench.cells import Value
    from hashbench.config.params import Params
    from hashbench.fitter import Fitter


def add_trial_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is tried, and on what."""
    parser.add_argument(
        "method", metavar="METHOD", help="a name of params.yaml, a Python file, or package.module:Class"
    )
    add_profile(parser)
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a constructor argument")
    parser.add_argument(
        "--bits", type=whole_number, action="append", help="code length (default: those of the profile)"
    )
    parser.add_argument("--timeout", type=seconds, metavar="SECONDS", help="end a fit that takes longer")


def seconds(text: str) -> float:
    """A number of seconds above 0 given on the command line."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e9:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above 0")


def settings_of(texts: Sequence[str]) -> dict[str, list[Value]]:
    """The values given for each key by KEY=VALUE texts, in order. Raises HashbenchError for what is none."""
    found: dict[str, list[Value]] = defaultdict(list)
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise HashbenchError(f"--set takes KEY=VALUE, got '{text}'")
        found[key].append(_value_of(key, value))
    return dict(found)


def _value_of(key: str, text: str) -> Value:
    import yaml

    for read in (json.loads, yaml.safe_load):  # YAML takes 3e-3 for a word
        with contextlib.suppress(ValueError, RecursionError, yaml.YAMLError):
            value: Any = read(text)
            if value is None or isinstance(value, bool | int | float | str):
                return value
    raise HashbenchError(f"--set {key}: '{text}' must be one number, text, true, false or null")


def fitter_for(
    params: Params, profile: str, method: str, settings: Mapping[str, Value], bits: Sequence[int] | None
) -> Fitter:
    """Fits `method` with `settings` laid over its hyperparameters, once a cell of `profile`, at the first seed.

    Raises HashbenchError where the method is not known, or cannot have these settings.
    """
    from hashbench.config.left_out import left_out_of
    from hashbench.config.params import did_you_mean
    from hashbench.config.selection import FitParams, backbone_params
    from hashbench.fitter import Fitter
    from hashbench.fitting import new_method
    from hashbench.methods.registry import load_method

    chosen, named = params.profile(profile), {**params.methods, **params.ablations}
    training = None if chosen.backbone_training == "frozen" else chosen.backbone_training
    name, code, values = method, method, dict(settings)
    if method in named:
        block, training = params.method(method, profile), params.backbone_training_of(method, profile)
        code, values = block.code, {**block.values, **settings}
    elif ":" in method or method.endswith(".py"):
        name = Path(method).stem if method.endswith(".py") else method.rpartition(":")[2]
    else:
        raise HashbenchError(
            f"unknown method '{method}'{did_you_mean(method, named)}; your own is given as a Python file or as "
            "package.module:Class"
        )
    new_method(name, load_method(code), values)  # refused before anything is read
    return Fitter(
        profile,
        FitParams(
            **dict(backbone_params(params, profile)),
            group="methods",
            method=name,
            code=code,
            hyperparameters=values,
            bits=list(bits or chosen.bits),
            seeds=[chosen.seeds[0]],
            precision=chosen.precision,
            checkpoint_layers=chosen.checkpoint_layers,
            backbone_training=training,
            left_out=left_out_of(params, profile, [method]).get(method, {}) if method in named else {},
        ),
    )


@contextmanager
def time_limit(limit: float | None, what: str) -> Iterator[None]:
    """End the block after `limit` seconds, at the next line of Python, by a HashbenchError that says `what` took it."""
    if limit is None:
        yield
        return

    def end(number: int, frame: object) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    except _OutOfTime:
        raise HashbenchError(f"{what} took longer than {limit:g} s; raise --timeout, or make it faster") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _OutOfTime(BaseException):
    """Not an Exception, which a method might catch."""
