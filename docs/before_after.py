"""The really blurred sample before and after, as `mdeblurgan demo` draws it: `python
docs/before_after.py`, into docs/images.
"""

from __future__ import annotations

from pathlib import Path

from napari_mdeblurgan import load_model, restore
from napari_mdeblurgan.before_after import write_comparison
from napari_mdeblurgan.restoration.micrographs import plan_micrograph, restored_micrograph
from napari_mdeblurgan.samples import sample_path
from napari_mdeblurgan.storage import read_image

PICTURE = Path(__file__).with_name("images") / "before-after-smear.png"


def main() -> None:
    """Restore and draw."""
    model, before = load_model("gray-x2"), read_image(sample_path("smear"))
    plan = plan_micrograph(before, model.card)
    after = restored_micrograph(before, restore(before.data, model), plan)
    write_comparison(PICTURE, before, after)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
