"""`mdeblurgan info`: what a bug report should tell."""

from __future__ import annotations

import typer

from napari_mdeblurgan.commands.common import one_line_errors


def info(context: typer.Context) -> None:
    """Show versions, devices, models and folders, for a bug report.

    Nothing is sent anywhere; copy what is printed.

    \b
    Example:
      mdeblurgan info
    """
    with one_line_errors(context):
        from napari_mdeblurgan.diagnostics import Section, diagnose
        from napari_mdeblurgan.widgets.shared.choices import choices_path

        def show(section: Section) -> None:
            width = max((len(what) for what, _ in section.lines), default=0)
            print(section.title)
            for what, how in section.lines:
                print(f"  {what:{width}}  {how}")
            print(flush=True)

        for section in diagnose():
            if section.title == "Folders":
                section = Section(
                    section.title, (*section.lines, ("last choices", str(choices_path())))
                )
            show(section)
