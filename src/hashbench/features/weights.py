"""What a file of weights holds, whoever wrote it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from hashbench.errors import HashbenchError


def tensors_digest(path: Path) -> str:
    """The sha256, in hex, of a safetensors file's tensors: their names, types, shapes and values, in order of names.

    The same tensors may be written with another header, or in another order. Raises HashbenchError where the file
    cannot be read.
    """
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            data = file.tell()
            for name, said in sorted(header.items()):
                if name != "__metadata__":
                    start, end = said["data_offsets"]
                    sha.update(json.dumps([name, said["dtype"], said["shape"]]).encode())
                    file.seek(data + start)
                    sha.update(file.read(end - start))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise HashbenchError(f"{path} cannot be read as safetensors ({error}); fetch it again") from None
    return sha.hexdigest()
