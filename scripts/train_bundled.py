"""Train one of the bundled models on the processor, in the background and in as many sittings as it
takes.

    python scripts/train_bundled.py {rgb,grey} DATA RUN [--steps 13700] [--start MODEL] [--threads
    1] python scripts/train_bundled.py grey DATA RUN2 --start gray-x2 --steps 4200 \
        --patch 128 --batch 4 --learning-rate 2e-3
    python scripts/widen_model.py RUN2/gray-x2.safetensors 24 wide.safetensors

DATA has the subfolders train/rgb, train/grey, validation/rgb and validation/grey. RUN is the folder
of a run, see the documentation under Training: the same command resumes where it was stopped. At
the end RUN/MODEL.safetensors is the averaged network with its card and its scores. `--start` takes
a grey model as the start of a colour one, or a model of the same kind. The second command goes on
from a bundled model, on larger patches; the third makes a wider network that computes the same, as
the start of another run.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from napari_mdeblurgan.degradation import GAUSSIAN, PHYSICAL, STRONG
from napari_mdeblurgan.evaluation.baselines import bicubic
from napari_mdeblurgan.evaluation.metrics import cropped, psnr, ssim
from napari_mdeblurgan.evaluation.protocol import BORDER, degraded
from napari_mdeblurgan.model import Model, save_model
from napari_mdeblurgan.network import Network
from napari_mdeblurgan.restoration.engine import restore
from napari_mdeblurgan.training.config import TrainingConfig, parse_config
from napari_mdeblurgan.training.data.dataset import image_files, read_sharp
from napari_mdeblurgan.training.recipe import card_for, settings_for, training_images
from napari_mdeblurgan.training.run import open_run

LINE_EVERY = 250
PROTOCOLS = {"gaussian": GAUSSIAN, "physical": PHYSICAL, "strong": STRONG}


def config_for(kind: str, wishes: argparse.Namespace) -> TrainingConfig:
    """What `mdeblurgan train` would be told for one of the bundled models."""
    settings = settings_for(kind, wishes.data)
    settings["network"]["start"] = wishes.start
    if wishes.physical is not None:
        degradation = settings["degradation"]
        blurred = degradation["gaussian"] + degradation["physical"]
        degradation |= {"gaussian": blurred - wishes.physical, "physical": wishes.physical}
    settings["data"] |= {
        "patch": wishes.patch,
        "batch": wishes.batch,
        "workers": wishes.workers,
    }
    settings["schedule"] |= {
        "learning_rate": wishes.learning_rate,
        "steps": wishes.steps,
        "steps_per_epoch": 500,
    }
    settings["run"] |= {
        "precision": wishes.precision,
        "threads": wishes.threads,
        "device": wishes.device,
    }
    return parse_config(settings)


def scores(network: Network, folder: Path) -> dict[str, float]:
    """Gain over bicubic in PSNR (mean and worst) and SSIM, under each of the protocols."""
    model, scale = Model(card_for(network, {}), network), network.scale
    images = [read_sharp(path) for path in image_files(folder)]
    found: dict[str, float] = {}
    for protocol, conditions in PROTOCOLS.items():
        gains = np.array(
            [
                _gain(model, *degraded(_even(image, scale), condition, scale))
                for image in images
                for condition in conditions
            ]
        )
        mean, worst = gains.mean(axis=0), gains.min(axis=0)
        found |= {
            f"{protocol}_psnr_gain_over_bicubic_db": round(float(mean[0]), 2),
            f"{protocol}_ssim_gain_over_bicubic": round(float(mean[1]), 4),
            f"{protocol}_worst_psnr_gain_db": round(float(worst[0]), 2),
        }
    return found


def _gain(model: Model, low: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """PSNR and SSIM of a result, less those of bicubic enlargement."""
    pairs = [
        (cropped(np.clip(np.asarray(result), 0, 1), BORDER), cropped(truth, BORDER))
        for result in (restore(low, model, softness=0), bicubic(low, model.card.scale))
    ]
    own, plain = ((psnr(*pair), ssim(*pair)) for pair in pairs)
    return own[0] - plain[0], own[1] - plain[1]


def _even(image: np.ndarray, scale: int) -> np.ndarray:
    """As much of it as whole pixels of the input show."""
    height, width = (length // scale * scale for length in image.shape[:2])
    return image[:height, :width]


def main() -> None:
    """Train, evaluate, write the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["rgb", "grey"])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=13_700)
    parser.add_argument("--start", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that draw patches; several for a GPU"
    )
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument(
        "--physical",
        type=float,
        help="share of the patches that an objective and a camera have seen",
    )
    wishes = parser.parse_args()
    run = open_run(
        training_images(wishes.kind, wishes.data), wishes.run, config_for(wishes.kind, wishes)
    )
    start, total = time.perf_counter(), 0.0
    with closing(run):
        for progress in run.steps():
            total += progress.record.terms["output"]
            if progress.step % LINE_EVERY == 0:
                seconds = time.perf_counter() - start
                print(
                    f"step {progress.step}, {seconds:.0f} s, log mean squared error "
                    f"{total / LINE_EVERY:.3f}",
                    flush=True,
                )
                total = 0.0
    network = run.training.averaged
    card = card_for(network, scores(network, wishes.data / "validation" / wishes.kind))
    print(save_model(network, card, run.model_path))


if __name__ == "__main__":
    main()
