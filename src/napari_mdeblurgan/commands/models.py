"""`mdeblurgan models`: what can be named."""

from __future__ import annotations

import typer

from napari_mdeblurgan.commands.common import one_line_errors


def models(context: typer.Context) -> None:
    """List the models that can be named.

    Each line: name, factor, kind of image, description.

    \b
    Example:
      mdeblurgan models
    """
    with one_line_errors(context):
        from napari_mdeblurgan.model import list_models, user_model_folder

        cards = list_models()
        width = max((len(card.name) for card in cards), default=0)
        for card in cards:
            kind = {1: "grey", 3: "RGB"}.get(card.channels, f"{card.channels} channels")
            print(
                f"{card.name:{width}}  ×{card.output_scale or card.scale}  {kind:4}  "
                f"{card.description}"
            )
        if not cards:
            print(f"There are no models; put .safetensors files into {user_model_folder()}.")
