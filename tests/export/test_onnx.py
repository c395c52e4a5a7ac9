"""ONNX files: what they compute, at which sizes, what they tell of the model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_mdeblurgan.errors import ExportError, ModelError
from napari_mdeblurgan.export import libraries, onnx
from napari_mdeblurgan.export.agreement import check_agreement, run_network
from napari_mdeblurgan.model import Model

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module", params=["grey ×2", "RGB ×4"])
def exported(
    request: pytest.FixtureRequest, tiny_model: Callable[..., Model], tmp_path_factory
) -> tuple[Model, bytes]:
    """A model, and the content of the ONNX file that it was exported to."""
    if request.param == "grey ×2":
        return request.getfixturevalue("carded_model"), request.getfixturevalue("grey_onnx")
    model = tiny_model(3, 4)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx.export_onnx(model, path)
    return model, path.read_bytes()


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 104, 64), (3, 16, 40), (1, 256, 320)])
def test_the_graph_gives_what_the_network_gives_at_any_size(
    exported: tuple[Model, bytes], shape
) -> None:
    model, content = exported
    batch, height, width = shape
    image = (
        np.random.default_rng(0)
        .normal(0.5, 1, (batch, model.card.channels, height, width))
        .astype(np.float32)
    )
    found = onnx.run_onnx(content, image)
    factor = model.card.scale
    assert found.shape == (batch, model.card.channels, factor * height, factor * width)
    np.testing.assert_allclose(found, run_network(model, image), rtol=0, atol=1e-4)
    assert found.std() > 0.1


def test_what_is_no_model_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'gray-x2' is no model; pass what `load_model` returns"):
        onnx.export_onnx("gray-x2", tmp_path / "a.onnx")


def test_the_file_holds_the_card_and_no_path_of_this_machine(exported: tuple[Model, bytes]) -> None:
    import onnx as onnx_library

    model, content = exported
    proto = onnx_library.load_from_string(content)
    onnx_library.checker.check_model(proto)
    (card,) = (json.loads(each.value) for each in proto.metadata_props if each.key == "mdeblurgan")
    assert card["weights_sha256"] == model.card.weights_sha256
    factor = 8 * model.card.scale
    sizes = [
        [each.dim_param for each in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    ]
    assert sizes == [
        ["batch", "", "8*rows", "8*columns"],
        ["batch", "", f"{factor}*rows", f"{factor}*columns"],
    ]
    for path in (Path.cwd(), Path(onnx.__file__).parent.parent, Path.home()):
        assert f"{path}/".encode() not in content


def test_a_graph_that_computes_something_else_is_not_let_out(
    tiny_model: Callable[..., Model],
) -> None:
    model = tiny_model(1)
    check_agreement(lambda image: run_network(model, image) + 5e-5, model, "ONNX")
    for wrong in (lambda y: y + 2e-4, lambda y: y[..., 1:], lambda y: y * np.nan):
        with pytest.raises(ExportError, match="ONNX does not give what it gives in PyTorch"):
            check_agreement(
                lambda image, wrong=wrong: wrong(run_network(model, image)), model, "ONNX"
            )


def test_a_missing_library_is_named_with_what_to_install(
    tiny_model, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(onnx, "FOR_ONNX", ("onnx", "no_such_library", "no.such"))
    with pytest.raises(
        ExportError, match=r"needs no_such_library, no.such; install .*napari-mdeblurgan\[export\]"
    ):
        onnx.export_onnx(tiny_model(1), tmp_path / "a.onnx")
    assert not list(tmp_path.glob("*.onnx"))


def test_a_pair_of_libraries_that_do_not_work_together_is_named(monkeypatch) -> None:
    found = {"bioimageio.spec": "0.5.12.0", "pydantic": "2.14.4"}
    monkeypatch.setattr(libraries, "version", found.__getitem__)
    with pytest.raises(ExportError, match=r"pydantic 2.14.4; install .* 'pydantic<2.14'"):
        libraries.check_together()
    for name, other in (("pydantic", "2.13.5"), ("bioimageio.spec", "0.5.13.0")):
        monkeypatch.setattr(libraries, "version", (found | {name: other}).__getitem__)
        libraries.check_together()


@pytest.mark.skipif(sys.platform == "win32", reason="the system collects it there")
def test_checking_a_file_tells_the_makers_of_the_runtime_nothing(
    grey_onnx: bytes, tmp_path: Path
) -> None:
    for folder in ("home", "temporary"):
        (tmp_path / folder).mkdir()
    (tmp_path / "model.onnx").write_bytes(grey_onnx)
    own = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    hidden = ("CI", "XDG_", "GITHUB_", "PYTEST", "ORT_")  # where nothing would be sent, anyway
    around = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    code = (
        "import os, numpy as np\n"
        "from pathlib import Path\n"
        "from napari_mdeblurgan.export.onnx import run_onnx\n"
        "before = dict(os.environ)\n"
        "run_onnx(Path('model.onnx').read_bytes(), np.zeros((1, 1, 8, 8), np.float32))\n"
        "assert dict(os.environ) == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=around | own)
    assert not [path for folder in own.values() for path in Path(folder).rglob("*")]
