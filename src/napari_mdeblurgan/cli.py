"""The `mdeblurgan` command: restoration without a window.

Exit codes: 0 when all that was asked is done, 2 for wrong use, 1 for work that failed, 130 when
interrupted. Whatever goes wrong is said in one line on stderr.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Annotated

import typer

from napari_mdeblurgan import __version__
from napari_mdeblurgan.commands.batch import batch
from napari_mdeblurgan.commands.common import not_printed, print_no_more
from napari_mdeblurgan.commands.demo import demo
from napari_mdeblurgan.commands.evaluate import evaluate
from napari_mdeblurgan.commands.export import export_model, import_model
from napari_mdeblurgan.commands.fine_tune import fine_tune
from napari_mdeblurgan.commands.focus_stack import focus_stack
from napari_mdeblurgan.commands.info import info
from napari_mdeblurgan.commands.models import models
from napari_mdeblurgan.commands.pairs import pairs
from napari_mdeblurgan.commands.restore import restore
from napari_mdeblurgan.commands.simulate import simulate
from napari_mdeblurgan.commands.train import train
from napari_mdeblurgan.folders import at_home
from napari_mdeblurgan.plain_text import Escaping, NotPrinted

app = typer.Typer(
    name="mdeblurgan",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


LAST_STREAM = 2  # number of the standard error
KERNELS = (
    "256"  # machine code that oneDNN keeps; by itself it keeps up to 1,024 pieces, some 100 MB
)
TURNS = (
    "1000"  # for which threads wait awake for each other; by itself 300,000, which small images
    # spend most of their time on where another program keeps a processor busy
)


def main() -> None:
    """Run the command line; ends in SystemExit."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", KERNELS)  # this process is ours alone
    os.environ["MPLBACKEND"] = "agg"  # of one that is not there, matplotlib does not load at all
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", TURNS)
    sys.argv[1:] = map(_at_home, sys.argv[1:])
    _stand_in_for_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            AttributeError
        ):  # a stream that was put in place of the terminal's
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with (
        contextlib.redirect_stdout(Escaping(sys.stdout)),
        contextlib.redirect_stderr(Escaping(sys.stderr)),
    ):
        try:
            try:
                app(prog_name="mdeblurgan")
            finally:
                sys.stdout.flush()  # when Python ends it would be too late for a sentence
        except BrokenPipeError:  # whoever read it has seen enough
            print_no_more()
            sys.exit(1)
        except NotPrinted as error:
            print_no_more()
            print(f"mdeblurgan: {not_printed(error)}", file=sys.stderr)
            sys.exit(1)


def _at_home(word: str) -> str:
    """What was typed, with ``~`` resolved where a shell leaves it, as in ``--output=~/sharp``."""
    option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return option + sign + str(at_home(value)) if re.match(r"~($|[/\\])", value) else word


def _stand_in_for_closed_streams() -> None:
    """What a caller closed leads nowhere; else the next file that is opened would take its number,
    and what is printed.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (number := os.open(os.devnull, os.O_RDWR)) <= LAST_STREAM:
        pass
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mdeblurgan {__version__}")
        raise typer.Exit


def _debug(context: typer.Context, wanted: bool) -> None:
    context.obj = wanted  # what every command's context inherits


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", callback=_debug, help="Show where in the program an error came from."
        ),
    ] = False,
) -> None:
    """Deblur micrographs and double their pixel density.

    \b
    Example:
      mdeblurgan restore blurred.tif sharp.tif
    """


for command in (
    restore,
    batch,
    models,
    demo,
    simulate,
    train,
    evaluate,
    pairs,
    focus_stack,
    fine_tune,
):
    app.command()(command)
app.command("export")(export_model)
app.command("import")(import_model)
app.command()(info)

if __name__ == "__main__":
    main()
