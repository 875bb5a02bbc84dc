"""The name of the processor, on which it depends whether two machines give the same bits."""

from __future__ import annotations

import platform

from hashbench.execution.machine import processor_name, processor_of

MILAN = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu vme
"""
GENOA = MILAN.replace("model\t\t: 1\n", "model\t\t: 17\n")


def test_processors_of_two_kinds_that_bear_one_name_are_told_apart() -> None:
    assert processor_of(MILAN) == "AMD EPYC (family 25, model 1, stepping 1)"
    assert processor_of(GENOA) == "AMD EPYC (family 25, model 17, stepping 1)"


def test_the_first_processor_is_named() -> None:
    assert processor_of(f"{MILAN}\n{GENOA}\n") == processor_of(MILAN)


def test_what_is_not_said_is_left_out() -> None:
    assert processor_of("model name\t: Fast One\nmodel\t: 3\n") == "Fast One (model 3)"
    assert processor_of("model name\t: Fast One\nmodel\t:\n") == "Fast One"


def test_without_a_name_the_system_is_asked() -> None:
    assert processor_of("processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd0c\n") == ""
    assert processor_of("") == ""
    assert processor_name() not in ("", platform.node())
