"""What came of a fine-tuning: the new model with its card, and how it does
beside the base model.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_mdeblurgan.atomic import replacing
from napari_mdeblurgan.errors import MdeblurganError
from napari_mdeblurgan.fine_tuning.better import GainVerdict, judge_gain
from napari_mdeblurgan.fine_tuning.folder import FineTuneFolder, check_name, output_of
from napari_mdeblurgan.fine_tuning.pairs import TuningPair
from napari_mdeblurgan.fine_tuning.scores import Scores, plain_name
from napari_mdeblurgan.fine_tuning.tuning import FineTuning
from napari_mdeblurgan.model import ModelCard, read_card, save_model
from napari_mdeblurgan.model_card import FINE_TUNED_FROM
from napari_mdeblurgan.network import Network
from napari_mdeblurgan.training.validation import squares, write_panels

_LABELS = ("blurred", "bicubic", "base model", "fine-tuned", "truth")
MOST_NAMES = 20


@dataclass(frozen=True, slots=True)
class MethodScore:
    """How one way of restoring does on the held-out squares, on average."""

    name: str
    psnr_db: float
    ssim: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How one held-out part does: mean PSNR in dB of its squares by the base
    model and the new one.
    """

    name: str
    base_db: float
    tuned_db: float


@dataclass(frozen=True, slots=True)
class TuningOutcome:
    """What came of it.

    Attributes
    ----------
    model : str
        Name of the new model.
    path : str
        Its file.
    base : str
        Name of the base model.
    methods : tuple of MethodScore
        Bicubic enlargement, or the blurred image where nothing is enlarged; the base model; the new
        one.
    parts : tuple of HeldOut
        Part by part.
    verdict : GainVerdict
        What that says.
    steps, best_step : int
        Taken, and after how many the kept weights were reached; 0 are the base model's.
    minutes : float
        Worked.
    notes : tuple of str
        What else the user should know.
    """

    model: str
    path: str
    base: str
    methods: tuple[MethodScore, ...]
    parts: tuple[HeldOut, ...]
    verdict: GainVerdict
    steps: int
    best_step: int
    minutes: float
    notes: tuple[str, ...]


def conclude(tuning: FineTuning) -> TuningOutcome:
    """Judge the best weights on the squares that they were not chosen by, and write the model, the
    figures and the panels.

    Returns
    -------
    TuningOutcome
        Also written as result.json. The model is there at once for everybody who lists the models.

    Raises
    ------
    TrainingError
        If another model has taken the name in the meantime.
    FileError
        If a file cannot be written.
    """
    pairs, settings, base = tuning.pairs, tuning.settings, tuning.base
    network = tuning.best_network().eval()
    judged = tuning.judged()
    found = {
        "bicubic": tuning.bicubic_judged.judging,
        "base": judged.base.judging,
        "tuned": judged.best.judging,
    }
    verdict = judge_gain(found["base"].psnr_db, found["tuned"].psnr_db, steps=tuning.training.step)
    card = _card(tuning, network, found, verdict)
    output = output_of(settings)
    if not _own(tuning.folder, output):
        check_name(settings)
    written = save_model(network, card, output)
    outcome = TuningOutcome(
        model=settings.name,
        path=str(output),
        base=base.card.name,
        methods=tuple(
            MethodScore(name, scores.mean_psnr_db, scores.mean_ssim)
            for name, scores in zip(
                (plain_name(pairs), base.card.name, settings.name), found.values(), strict=True
            )
        ),
        parts=_by_part(tuning, found),
        verdict=verdict,
        steps=tuning.training.step,
        best_step=tuning.best_step,
        minutes=tuning.clock.seconds / 60,
        notes=(*tuning.notes, *_worse_than_plain(plain_name(pairs), found)),
    )
    with replacing(tuning.folder.result) as file:
        file.write(
            json.dumps(
                dataclasses.asdict(outcome) | {"sha256": written.weights_sha256}, indent=1
            ).encode()
        )
    _write_comparison(tuning)
    return outcome


def score_table(outcome: TuningOutcome) -> list[tuple[str, str, str]]:
    """Rows for the user: what, PSNR, SSIM."""
    return [
        (method.name, f"{method.psnr_db:.2f} dB", f"{method.ssim:.4f}")
        for method in outcome.methods
    ]


def _worse_than_plain(plain: str, found: dict[str, Scores]) -> list[str]:
    """What the user should know where no network at all does better than the new model."""
    plain_db, tuned_db = (found[name].mean_psnr_db for name in ("bicubic", "tuned"))
    if tuned_db >= plain_db:
        return []
    name = "bicubic enlargement" if plain == "bicubic" else f"the {plain}"
    return [
        f"{name} is nearer to the truth ({plain_db:.2f} dB) than what the new model makes "
        f"({tuned_db:.2f} dB): train longer, or leave such images as they are"
    ]


def _own(folder: FineTuneFolder, output: Path) -> bool:
    """Whether the file is the model that this fine-tuning has written before, and nobody has
    changed.
    """
    try:
        before = json.loads(folder.result.read_text(encoding="utf-8"))["sha256"]
        return bool(read_card(output).weights_sha256 == before)
    except (OSError, ValueError, KeyError, MdeblurganError):
        return False


def _by_part(tuning: FineTuning, found: dict[str, Scores]) -> tuple[HeldOut, ...]:
    parts, judging = tuning.split.held_out, tuning.split.judging
    rows = []
    for box in parts:
        own = [number for number, square in enumerate(judging) if box.contains(square)]
        if own:
            base, tuned = (
                float(np.mean([found[name].psnr_db[n] for n in own])) for name in ("base", "tuned")
            )
            rows.append(HeldOut(tuning.pairs[box.pair].name, base, tuned))
    return tuple(rows)


def _card(
    tuning: FineTuning, network: Network, found: dict[str, Scores], verdict: GainVerdict
) -> ModelCard:
    base, settings = tuning.base.card, tuning.settings
    names = [_printable(pair.name) for pair in tuning.pairs if not pair.stack]
    stacks = _stacks(tuning.pairs)
    shown = [f"the pair {name}" for name in names] + [f"the focus stack {name}" for name in stacks]
    plain = "bicubic" if tuning.output_scale is None else "blurred"
    pixels = "" if tuning.output_scale is None else " for the image's own pixels"
    more = [f"and {len(shown) - MOST_NAMES} more"] if len(shown) > MOST_NAMES else []
    return ModelCard(
        name=settings.name,
        description=(
            f"{base.name} fine-tuned{pixels} on {_counted(len(names), len(stacks))}: "
            f"{verdict.gain_db:+.2f} dB on held-out parts ({verdict.answer})"
        ),
        architecture=network.architecture,
        scale=network.scale,
        channels=network.channels,
        halo=network.halo,
        output_scale=tuning.output_scale,
        trained_on=(
            *base.trained_on,
            *(f"fine-tuned on {each}" for each in (*shown[:MOST_NAMES], *more)),
        ),
        blur_sigma_px=base.blur_sigma_px,
        scores={
            FINE_TUNED_FROM: base.name,
            "fine_tuned_from_sha256": base.weights_sha256,
            "fine_tuning_pairs": len(names),
            "fine_tuning_stacks": len(stacks),
            "fine_tuning_steps": tuning.best_step,
            "fine_tuning_way_from_base": tuning.best_way,
            "fine_tuning_minutes": round(tuning.clock.seconds / 60, 2),
            "held_out_squares": verdict.squares,
            "held_out_psnr_db": round(found["tuned"].mean_psnr_db, 2),
            "held_out_ssim": round(found["tuned"].mean_ssim, 4),
            "held_out_base_psnr_db": round(found["base"].mean_psnr_db, 2),
            "held_out_base_ssim": round(found["base"].mean_ssim, 4),
            f"held_out_{plain}_psnr_db": round(found["bicubic"].mean_psnr_db, 2),
            f"held_out_{plain}_ssim": round(found["bicubic"].mean_ssim, 4),
            "held_out_gain_confidence_db": [round(verdict.low_db, 2), round(verdict.high_db, 2)],
            "verdict": verdict.answer,
        },
        licence=base.licence,
    )


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:100]


def _stacks(pairs: Sequence[TuningPair]) -> list[str]:
    """The focus stacks that are learned from, each with how many of its planes."""
    planes = {(pair.stack, pair.name.partition(" [")[0]): None for pair in pairs if pair.stack}
    counts = Counter(stack for stack, _ in planes)
    return [
        f"{_printable(stack)} ({count} plane{'s' if count != 1 else ''})"
        for stack, count in counts.items()
    ]


def _counted(pairs: int, stacks: int) -> str:
    """In words, such as "2 pairs and 1 focus stack"."""
    kinds = ((pairs, "pair"), (stacks, "focus stack"))
    return " and ".join(
        f"{count} {kind}{'s' if count != 1 else ''}" for count, kind in kinds if count
    )


def _write_comparison(tuning: FineTuning) -> None:
    judged = tuning.judged()
    rows = [
        (squares(each.crop.blurred, each.crop.sharp), *each.enlarged, base, tuned, each.crop.sharp)
        for each, base, tuned in zip(
            tuning.parts.panels, judged.base.panels, judged.best.panels, strict=True
        )
    ]
    labels = [label for label in _LABELS if label != "bicubic" or tuning.output_scale is None]
    write_panels(tuning.folder.comparison, rows, labels)
