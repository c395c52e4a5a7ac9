"""`python -m napari_mdeblurgan` is the `mdeblurgan` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends in SystemExit, also where Ctrl-C comes while it is loaded."""
    try:
        from napari_mdeblurgan.cli import main as command

        command()
    except KeyboardInterrupt:
        print("mdeblurgan: interrupted; nothing was left half-written.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
