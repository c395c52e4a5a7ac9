"""`python -m napari_mdeblurgan` is the `mdeblurgan` command."""

from __future__ import annotations

import signal
import sys

from napari_mdeblurgan.interruption import INTERRUPTED, heard, is_asked


def main() -> None:
    """Run the command line; ends in SystemExit, also where Ctrl-C comes while it is loaded."""
    try:
        with heard(signal.SIGINT):
            from napari_mdeblurgan.cli import main as command

            command()
    except KeyboardInterrupt:
        _end_interrupted()
    except SystemExit as end:
        if end.code and is_asked():  # typer says nothing of it
            _end_interrupted()
        raise


def _end_interrupted() -> None:
    print(f"mdeblurgan: {INTERRUPTED}", file=sys.stderr)
    sys.exit(130)


if __name__ == "__main__":
    main()
