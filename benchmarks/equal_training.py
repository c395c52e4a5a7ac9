"""What the paper's Table 1 and Figures 5 to 7 compare, at equal training: the commands of a user,
one after another.

    python benchmarks/equal_training.py DATA OUTPUT [--steps 2000] [--kind grey] [--width 16]
    [--networks NAME ...]

Trains four x2 networks with ``mdeblurgan train``, from nothing, by the recipe of the bundled models
(training/recipe.py), on the same patches for as many steps: M-Deblurgan; U-Net + SR; M-Deblurgan
with the adversarial part, that is the discriminator and feature matching through it; M-Deblurgan
without the optimal approximation module. Then ``mdeblurgan evaluate`` on DATA/validation/KIND
writes OUTPUT/report, with the PSNR per epoch of all. The same command again goes on where it was
interrupted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from napari_mdeblurgan.training.config import config_toml, parse_config
from napari_mdeblurgan.training.recipe import settings_for, training_images

NETWORKS: dict[str, dict[str, dict[str, Any]]] = {  # what each has beside the recipe
    "m-deblurgan": {},
    "unet-sr": {"network": {"name": "unet-sr", "width": 32}, "loss": {"distances": 0.0}},
    "m-deblurgan-adversarial": {
        "loss": {"perceptual": "feature-matching", "adversarial_share": 0.02},
        "optimizer": {"discriminator_rate": 0.05},
    },
    "m-deblurgan-no-approximation": {
        "network": {"approximation": "none"},
        "loss": {"distances": 0.0},
    },
}


def config_for(name: str, wishes: argparse.Namespace) -> str:
    """The configuration of a training, as TOML."""
    settings = settings_for(wishes.kind, wishes.data.resolve())
    settings["model"]["name"] = name
    settings["network"]["width"] = wishes.width
    settings["schedule"] |= {"steps": wishes.steps}
    settings["optimizer"]["averaging"] = 0.995  # the last tenth of 2,000 steps
    settings["run"] |= {"threads": wishes.threads, "validate_every": max(1, wishes.steps // 10)}
    for section, own in NETWORKS[name].items():
        settings[section] |= own
    return config_toml(parse_config(settings))


def command(*words: object) -> None:
    """One command of the package, shown and run."""
    said = [str(word) for word in words]
    print("mdeblurgan", *said, flush=True)
    subprocess.run([sys.executable, "-m", "napari_mdeblurgan", *said], check=True)


def main() -> None:
    """Train all, then judge them together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--kind", choices=("grey", "rgb"), default="grey")
    parser.add_argument("--width", type=int, default=16, help="of M-Deblurgan")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    wishes = parser.parse_args()
    wishes.output.mkdir(parents=True, exist_ok=True)
    judged: list[object] = []
    for name in wishes.networks:
        run, config = wishes.output / name, wishes.output / f"{name}.toml"
        config.write_text(config_for(name, wishes), encoding="utf-8")
        command(
            "train", training_images(wishes.kind, wishes.data), "--output", run, "--config", config
        )
        judged += ["--model", run / f"{name}.safetensors", "--run", run]
    command(
        "evaluate",
        wishes.data / "validation" / wishes.kind,
        "--output",
        wishes.output / "report",
        *judged,
    )


if __name__ == "__main__":
    main()
