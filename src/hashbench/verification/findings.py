"""What a check found: faults, which make the results wrong or stale, and notes, which a reader should know."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Findings:
    """`faults`: sentences that each name one difference; `notes`: what could not be checked, or deserves a look."""

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fault(self, sentence: str) -> None:
        """Add a fault."""
        self.faults.append(sentence)

    def note(self, sentence: str) -> None:
        """Add a note, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)
