"""What the documentation takes from elsewhere: the command line's reference from its parser, the
measured tables from the README.

MkDocs runs `on_page_markdown` for every page (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCE = str(ROOT / "src")
COMMANDS, QUALITY = "<!-- commands -->", "<!-- quality -->"
EXAMPLE = re.compile(r"\n*\x08\nExamples?:\n")  # a paragraph that typer is told not to wrap


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the parts where their marks are."""
    for mark, part in ((COMMANDS, reference), (QUALITY, quality)):
        if mark in markdown:
            markdown = markdown.replace(mark, part())
    return markdown


def quality() -> str:
    """The README's section on how good the models are, with links as pages of the documentation
    have them.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition("## How good it is\n")[2].partition("\n## ")[0].strip()
    if not part:
        raise ValueError("README.md has no section 'How good it is'")
    return part.replace("](docs/", "](")


def reference() -> str:
    """Every command of `mdeblurgan`, in Markdown."""
    from typer.main import get_command

    if SOURCE not in sys.path:
        sys.path.append(SOURCE)  # the package need not be installed, nor what it computes with
    from napari_mdeblurgan.cli import app

    program = get_command(app)
    with program.make_context("mdeblurgan", ["models"]) as context:
        lines = [*_table("option", program, context)]
        for name, command in program.commands.items():
            lines += [
                "",
                f"## mdeblurgan {name}",
                "",
                *_described(f"mdeblurgan {name}", command, context),
            ]
    return "\n".join(lines)


def _described(name: str, command: Any, parent: Any) -> Iterator[str]:
    context = type(parent)(command, info_name=command.name, parent=parent)
    text, *examples = EXAMPLE.split(command.help or "")
    yield from (
        text,
        "",
        "```text",
        " ".join([name, *command.collect_usage_pieces(context)]),
        "```",
        "",
    )
    for kind in ("argument", "option"):
        yield from _table(kind, command, context)
    for example in examples:
        yield from ("```sh", *(line.strip() for line in example.splitlines()), "```")


def _table(kind: str, command: Any, context: Any) -> Iterator[str]:
    """The arguments or the options of a command: what they are called, and what the parser's help
    says of them.
    """
    records = [
        each.get_help_record(context) for each in command.params if each.param_type_name == kind
    ]
    rows = [
        f"| <code>{_cell(record[0])}</code> | {_cell(record[1])} |" for record in records if record
    ]
    if rows:
        yield from (f"| {kind} | |", "| --- | --- |", *rows, "")


def _cell(text: str) -> str:
    """Words that Markdown leaves as they are, in one line."""
    return re.sub(r"[|<>\[\]*_`]", lambda found: f"&#{ord(found[0])};", " ".join(text.split()))
