"""The really blurred sample before and after, as `mdeblurgan demo` draws them: `python docs/before_after.py`, into docs/images."""

from __future__ import annotations

from pathlib import Path

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.comparison import write_comparison
from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import read_image

IMAGES = Path(__file__).with_name("images")
NAMES = ("smear",)


def main() -> None:
    """Restore and draw."""
    model = load_model("gray-x2")
    for name in NAMES:
        before, picture = read_image(sample_path(name)), IMAGES / f"before-after-{name}.png"
        plan = plan_micrograph(before, model.card)
        after = restored_micrograph(before, restore(before.data, model), plan)
        write_comparison(picture, before, after)
        print(f"{picture.name}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
