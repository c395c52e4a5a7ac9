"""What the paper's Table 1 and Figures 5 to 7 compare, at equal training: the commands of a user, one after another.

    python benchmarks/equal_training.py DATA OUTPUT [--steps 2000] [--kind grey]

Trains four ×2 networks with ``mdeblurgan train`` on DATA/train/KIND, the same patches for as many steps: M-Deblurgan; the same
with the adversarial part (discriminator and feature matching); the same without the optimal approximation module; U-Net + SR.
Then ``mdeblurgan evaluate`` on DATA/validation/KIND writes OUTPUT/report, with the PSNR per epoch of all four. The same
command again goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

COMMON = """
[network]
{network}
[data]
validation_folder = "{validation}"
[degradation]
gaussian = 0.6
gaussian_noisy = 0.1
physical = 0.3
jpeg = 0.05
[loss]
{loss}
[schedule]
name = "cosine"
learning_rate = 2e-3
warm_up = 100
steps = {steps}
[optimizer]
name = "muon"
averaging = 0.995
discriminator_rate = 0.05
[run]
precision = "bfloat16"
threads = {threads}
validate_every = {epoch}
"""
ADVERSARIAL = 'perceptual = "feature-matching"\nadversarial_share = 0.02'
NETWORKS = {
    "m-deblurgan": ("", ""),
    "unet-sr": ('name = "unet-sr"\nwidth = 32', "distances = 0.0"),
    "m-deblurgan-adversarial": ("", ADVERSARIAL),
    "m-deblurgan-no-approximation": ('approximation = "none"', "distances = 0.0"),
}


def command(*words: object) -> None:
    """One command of the package, shown and run."""
    said = [str(word) for word in words]
    print("mdeblurgan", *said, flush=True)
    subprocess.run([sys.executable, "-m", "napari_mdeblurgan", *said], check=True)


def main() -> None:
    """Train all, then judge them together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--kind", choices=("grey", "rgb"), default="grey")
    parser.add_argument("--threads", type=int, default=0)
    wishes = parser.parse_args()
    validation = wishes.data / "validation" / wishes.kind
    wishes.output.mkdir(parents=True, exist_ok=True)
    judged: list[object] = []
    for name, (network, loss) in NETWORKS.items():
        run, config = wishes.output / name, wishes.output / f"{name}.toml"
        config.write_text(
            COMMON.format(
                network=network,
                loss=loss,
                validation=validation.resolve().as_posix(),
                steps=wishes.steps,
                threads=wishes.threads,
                epoch=max(1, wishes.steps // 10),
            ),
            encoding="utf-8",
        )
        command("train", wishes.data / "train" / wishes.kind, "--output", run, "--config", config, "--model-name", name)
        judged += ["--model", run / f"{name}.safetensors", "--run", run]
    command("evaluate", validation, "--output", wishes.output / "report", *judged)


if __name__ == "__main__":
    main()
