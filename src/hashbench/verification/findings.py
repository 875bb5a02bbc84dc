"""What a check found: faults, which make the results wrong or stale, and notes, which a reader should know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

LINES_A_FILE = 3


@dataclass
class Findings:
    """Faults, sentences that each name one difference, and notes: what could not be checked, or deserves a look.

    `by_file`: faults by what they are found in, a file or the records of a method; `notes`.
    """

    by_file: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """All faults."""
        return [sentence for sentences in self.by_file.values() for sentence in sentences]

    def fault(self, sentence: str, file: object = None) -> None:
        """Add a fault, found in `file` if it is one of several that may be found there."""
        self.by_file.setdefault(sentence if file is None else str(file), []).append(sentence)

    def note(self, sentence: str) -> None:
        """Add a note, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def lines(self) -> Iterator[str]:
        """What a reader is told: of each file the first faults and how many more there are, then every note.

        One forged number changes most lines of every table and figure that it goes into.
        """
        for file, sentences in self.by_file.items():
            yield from sentences[:LINES_A_FILE]
            if len(sentences) > LINES_A_FILE:
                yield f"{file}: and {len(sentences) - LINES_A_FILE} more"
        yield from (f"note: {note}" for note in self.notes)
