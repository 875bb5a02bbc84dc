"""Calls of `hashbench evaluate` as a user makes them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from hashbench.commands import evaluate


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`called("codes.npz", "--k", "5")`: what the subcommand prints."""

    def call(*arguments: str) -> str:
        parser = argparse.ArgumentParser()
        evaluate.add_arguments(parser)
        evaluate.run(parser.parse_args(arguments))
        return capsys.readouterr().out

    return call
