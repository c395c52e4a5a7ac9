"""Files for libraries that ask for as many bytes as a header claims."""

from __future__ import annotations

import io
from pathlib import Path


class BoundedReader(io.BufferedReader):
    """A file that makes no room for more bytes than are left in it, however many are asked for.

    Parameters
    ----------
    path : str or Path
        The file.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(io.FileIO(path, "rb"))
        self._length = Path(path).stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes, as any file does."""
        left = max(self._length - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))
