"""What was restored of a polygon or an ellipse alone: saved and opened again it is as empty around,
in both formats.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.widgets.keep.conftest import assert_same

if TYPE_CHECKING:
    from napari import Viewer

    from napari_mdeblurgan.widgets.deblur import DeblurWidget

ELLIPSE = np.array([[4.0, 6], [4, 40], [30, 40], [30, 6]])


@pytest.mark.parametrize("ending", [".ome.tif", ".ome.zarr"])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_a_part_opened_again_is_what_it_was_and_lies_where_it_lay(
    viewer: Viewer,
    widget: DeblurWidget,
    noise: Callable[..., np.ndarray],
    run: Callable[[], None],
    save: Callable[..., str],
    reopened: Callable[[Path], list[Any]],
    tmp_path: Path,
    ending: str,
    colours: tuple[int, ...],
) -> None:
    viewer.add_image(noise(40, 48, *colours), name="scan", scale=(0.5, 0.5), units="um")
    shapes = viewer.add_shapes([ELLIPSE * 0.5], shape_type="ellipse", units="um")
    widget.only_here.box.value = shapes
    run()
    part = viewer.layers["scan [sharp ×2, region 1]"]
    viewer.layers.selection.active = part
    assert "saved as" in save(tmp_path / f"part{ending}")
    (again,) = reopened(tmp_path / f"part{ending}")
    assert_same(part, again)
    made = again.metadata["mdeblurgan"]
    assert made["part"] == "region 1"
    assert [tuple(span) for span in made["region"]] == [(4, 31), (6, 41)]
