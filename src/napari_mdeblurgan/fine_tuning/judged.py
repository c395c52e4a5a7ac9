"""All that is to be known of a network on the held-out parts, found in one pass over them.

Restoring takes the time, not comparing. So whenever the best weights are chosen, they are judged on
the other squares, too, and the pieces that are drawn of them are kept: a fine-tuning that is
stopped has nothing left to restore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from napari_mdeblurgan.fine_tuning.held_out import Box, Split
from napari_mdeblurgan.fine_tuning.pairs import TuningPair
from napari_mdeblurgan.fine_tuning.preview import PIECES, pieces
from napari_mdeblurgan.fine_tuning.scores import Scores, compared, cut_square, restored_box
from napari_mdeblurgan.network import Network
from napari_mdeblurgan.network.blocks import BicubicUpsampling

PANELS = 3
KEPT = "judged/"  # how the names of tensors in a checkpoint begin


@dataclass(frozen=True, slots=True, eq=False)
class JudgedNetwork:
    """What one network does.

    Attributes
    ----------
    choosing, judging : Scores
        Of the squares that the best weights are chosen by, and of those for the comparison at the
        end.
    shown, panels : tuple of Tensor
        Pieces of the preview and of the comparison: (1, channels, y, x) in [0, 1], on the CPU.
    """

    choosing: Scores
    judging: Scores
    shown: tuple[Tensor, ...]
    panels: tuple[Tensor, ...]


class HeldOutParts:
    """The held-out parts and what is looked at in them.

    Parameters
    ----------
    pairs : sequence of TuningPair
        All of a fine-tuning.
    parts : Split
        Which parts of them are held out.

    Attributes
    ----------
    shown, panels : list of Piece
        What is drawn of them while it goes on, and at the end.
    """

    def __init__(self, pairs: Sequence[TuningPair], parts: Split) -> None:
        self._pairs, self._parts = pairs, parts
        self.shown = pieces(pairs, parts, parts.choosing, PIECES)
        self.panels = pieces(pairs, parts, parts.judging, PANELS)

    def judged(self, network: Network | BicubicUpsampling) -> JudgedNetwork:
        """Restore every held-out box once, and compare its squares with the truth.

        Raises
        ------
        Stopped
            If the work was asked to stop.
        """
        parts, wanted = self._parts, dict.fromkeys((*self._parts.choosing, *self._parts.judging))
        found: dict[Box, tuple[float, float]] = {}
        drawn: dict[int, Tensor] = {}
        every = [*self.shown, *self.panels]
        for box in parts.held_out:
            inside = [square for square in wanted if box.contains(square)]
            if not inside:
                continue
            pair = self._pairs[box.pair]
            restored = restored_box(network, pair, box)
            for square in inside:
                found[square] = compared(restored, pair, box, square)
            for number, piece in enumerate(every):
                if piece.box == box:
                    drawn[number] = torch.from_numpy(
                        cut_square(restored, box, piece.square, pair.scale)
                    ).clone()[None]
        tensors = [drawn[number] for number in range(len(every))]
        split_at = len(self.shown)
        return JudgedNetwork(
            Scores.of(found[square] for square in parts.choosing),
            Scores.of(found[square] for square in parts.judging),
            tuple(tensors[:split_at]),
            tuple(tensors[split_at:]),
        )


def kept(name: str, judged: JudgedNetwork | None) -> dict[str, Tensor]:
    """As tensors for a checkpoint, named ``judged/name/…``; none where nothing was judged."""
    if judged is None:
        return {}
    tensors = {"choosing": judged.choosing.tensor, "judging": judged.judging.tensor}
    tensors |= {f"shown.{number}": piece for number, piece in enumerate(judged.shown)}
    tensors |= {f"panels.{number}": piece for number, piece in enumerate(judged.panels)}
    return {f"{KEPT}{name}/{key}": value for key, value in tensors.items()}


def taken_up(name: str, tensors: Mapping[str, Tensor], like: JudgedNetwork) -> JudgedNetwork | None:
    """What `kept` gave, of the same squares and pieces as `like`; None where a checkpoint has
    nothing of the kind.
    """
    own = {key.removeprefix(f"{KEPT}{name}/"): value for key, value in tensors.items()}
    try:
        found = JudgedNetwork(
            Scores.of(own["choosing"].tolist()),
            Scores.of(own["judging"].tolist()),
            tuple(own[f"shown.{number}"] for number in range(len(like.shown))),
            tuple(own[f"panels.{number}"] for number in range(len(like.panels))),
        )
    except KeyError:
        return None
    return found if _shapes(found) == _shapes(like) else None


def _shapes(judged: JudgedNetwork) -> list[Any]:
    counts = [len(scores.psnr_db) for scores in (judged.choosing, judged.judging)]
    return [*counts, *(piece.shape for piece in (*judged.shown, *judged.panels))]
