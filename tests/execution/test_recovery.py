"""What a killed DVC leaves half written is removed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashbench.execution import recovery

WHOLE = {
    ".dvc/tmp/rwlock": "{}",
    "dvc.lock": "schema: '2.0'\nstages: {}\n",
    "pipelines/cpu/dvc.lock": "schema: '2.0'\n",
}


@pytest.mark.parametrize("half", [None, *WHOLE])
def test_half_written_files_are_removed_and_whole_ones_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, half: str | None
) -> None:
    monkeypatch.setattr(recovery, "SETTLING_SECONDS", 0.0)
    for name, text in WHOLE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("stages:\n  fit: {outs: [" if name == half else text)
    if half == ".dvc/tmp/rwlock":
        (tmp_path / half).write_text("")
    removed = recovery.remove_half_written(tmp_path)
    assert removed == ([] if half is None else [tmp_path / half])
    assert [name for name in WHOLE if not (tmp_path / name).exists()] == ([] if half is None else [half])
    assert half is None or f"{half} was left half written" in caplog.text


def test_there_is_nothing_to_remove_in_a_new_checkout(tmp_path: Path) -> None:
    assert recovery.remove_half_written(tmp_path) == []
