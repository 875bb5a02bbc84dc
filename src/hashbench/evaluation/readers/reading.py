"""From files to four arrays that `evaluate` takes, and the words that say how they were read."""

from __future__ import annotations

from dataclasses import dataclass

from hashbench.evaluation.readers.codes import check_alphabets, read_codes
from hashbench.evaluation.readers.found import Found
from hashbench.evaluation.readers.labels import read_labels
from hashbench.evaluation.readers.names import find
from hashbench.evaluation.readers.request import Reading, Role, Sources
from hashbench.evaluation.readers.shapes import check_counts, check_widths, transposed
from hashbench.types import Array, Codes


@dataclass(frozen=True)
class Items:
    """Queries and database: `Codes`, and labels that are both bool (n, c) or both class numbers int64 (n,).

    `told`: for each of the four arrays where it was found and how it was read, one sentence without an end.
    """

    query_codes: Codes
    database_codes: Codes
    query_labels: Array
    database_labels: Array
    told: dict[Role, str]


def read_items(sources: Sources | str, how: Reading | None = None) -> Items:
    """Read codes and labels from the files of `sources`, or from one file with usual names.

    Raises HashbenchError, one sentence: what is missing, damaged, does not fit, or could be read in two ways, where,
    and what decides.
    """
    how = how or Reading()
    found = transposed(find(sources if isinstance(sources, Sources) else Sources(sources)), how.transpose)
    check_counts(found)
    query, database = found["query_codes"], found["database_codes"]
    query_bits, database_bits = read_codes(query, how), read_codes(database, how)
    check_widths(query, database, query_bits.codes.n_bits, database_bits.codes.n_bits)
    check_alphabets(query, database, query_bits, database_bits)
    n_query, n_database = len(query_bits.codes), len(database_bits.codes)
    labels = read_labels(found["query_labels"], found["database_labels"], n_query, n_database, how)
    told: dict[Role, str] = {
        "query_codes": _told(query, query_bits.alphabet, query_bits.remark),
        "database_codes": _told(database, database_bits.alphabet, database_bits.remark),
        "query_labels": _told(found["query_labels"], labels.form, labels.remark),
        "database_labels": _told(found["database_labels"], labels.form),
    }
    return Items(query_bits.codes, database_bits.codes, labels.query, labels.database, told)


def _told(found: Found, kind: str, remark: str = "") -> str:
    return f"{found.place} {found.shape}, {kind}" + (f"; {remark}" if remark else "")
