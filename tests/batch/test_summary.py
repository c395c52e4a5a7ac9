"""The table of a batch: a row for each image, the worst first, in a spreadsheet and on a page."""

from __future__ import annotations

import csv
import html.parser
import json
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

import pytest

from napari_mdeblurgan.batch import open_batch
from napari_mdeblurgan.batch.batch_table import PAGE, SUMMARY_COLUMNS, TABLE, write_summary
from napari_mdeblurgan.batch.manifest import MANIFEST
from napari_mdeblurgan.batch.output_folder import OutputFolder

from .conftest import grey, write

GOOD = {
    "level": "good",
    "text": "Agrees",
    "blur_px": 1.25,
    "noise": 0.02,
    "error": 0.04,
    "inconsistent": 0.001,
}


class Page(html.parser.HTMLParser):
    """The cells of a page's table, its links, and the tags that are in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self._in = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in = True
        self.links += [value or "" for name, value in attributes if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        self._in = self._in and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in:
            self.rows[-1][-1] += data


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def page(folder: Path) -> Page:
    return Page((folder / PAGE).read_text(encoding="utf-8"))


def folder_of(path: Path, *made: tuple[str, str, dict | None]) -> OutputFolder:
    """An output folder whose manifest tells of results: the image, the result, and what was found
    out.
    """
    path.mkdir()
    lines = []
    for file, output, trust in made:
        (path / output).parent.mkdir(parents=True, exist_ok=True)
        (path / output).touch()
        entry = {
            "event": "made",
            "input": file,
            "output": output,
            "job": "",
            "settings": "",
            "mark": "",
            "work": "w/a",
        }
        entry |= {
            "pixels": 1,
            "size": 1,
            "model": "",
            "device": "",
            "precision": "",
            "seconds": 2.5,
            "trust": trust,
        }
        lines.append(json.dumps(entry))
    (path / MANIFEST).write_text("\n".join(lines) + "\n")
    return OutputFolder(path)


def test_a_batch_that_ends_has_a_table_of_what_was_done_and_what_failed(
    restored, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "a.tif", grey(60, 50))
    (tmp_path / "in" / "b.tif").write_text("no image")
    batch = restored([tmp_path / "in"], trust=True)
    failed, done = table(tmp_path / "out")
    assert tuple(done) == tuple(SUMMARY_COLUMNS)
    assert (failed["verdict"], failed["result"], Path(failed["file"]).name) == (
        "failed",
        "",
        "b.tif",
    )
    assert "is not a TIFF file" in failed["words"]
    assert (done["result"], done["report"]) == ("a.ome.tif", "a.ome.tif.html")
    assert float(done["noise_percent"]) > 0
    assert float(done["seconds"]) > 0
    assert done["words"][0] in "✓!✗"
    assert batch.summary == tmp_path / "out" / PAGE
    found = page(tmp_path / "out")
    assert [row[0] for row in found.rows[1:]] == ["b.tif", "a.tif"]
    assert found.links == ["./a.ome.tif", "./a.ome.tif.html"]


def test_without_an_assessment_the_table_says_so(restored, tmp_path: Path) -> None:
    restored([write(tmp_path / "a.tif")])
    (row,) = table(tmp_path / "out")
    assert (row["verdict"], row["words"], row["error_percent"]) == ("", "not assessed", "")


def test_a_batch_that_was_cancelled_has_a_table_of_what_is_done_and_a_resumed_one_of_all(
    settings, tmp_path: Path
) -> None:
    for name in ("a.tif", "b.tif"):
        write(tmp_path / "in" / name)
    with open_batch([tmp_path / "in"], tmp_path / "out", settings()) as batch:
        steps = batch.steps()
        while not next(steps).done:
            pass
        steps.close()
    assert [row["result"] for row in table(tmp_path / "out")] == ["a.ome.tif"]
    with open_batch([tmp_path / "in"], tmp_path / "out", settings()) as batch:
        assert list(batch.steps())
    assert [row["result"] for row in table(tmp_path / "out")] == ["a.ome.tif", "b.ome.tif"]


def test_the_worst_come_first(tmp_path: Path) -> None:
    poor, doubtful = GOOD | {"level": "poor"}, GOOD | {"level": "caution"}
    made = [
        ("/in/unknown.tif", "unknown.tif", None),
        ("/in/good.tif", "good.tif", GOOD),
        ("/in/good but off.tif", "off.tif", GOOD | {"error": 0.2}),
        ("/in/doubtful.tif", "doubtful.tif", doubtful),
        ("/in/poor.tif", "poor.tif", poor),
    ]
    with closing(folder_of(tmp_path / "out", *made)) as folder:
        write_summary(folder)
    order = ["poor.tif", "doubtful.tif", "off.tif", "good.tif", "unknown.tif"]
    assert [row["result"] for row in table(tmp_path / "out")] == order
    found = page(tmp_path / "out").rows
    assert [row[1] for row in found[1:]] == order
    assert found[1] == ["poor.tif", "poor.tif", "1.2", "2.0", "4.0", "0.10", "✗Agrees", "2.5"]


def test_names_of_strangers_are_neither_computed_nor_run(tmp_path: Path) -> None:
    evil = '=HYPERLINK("x")<script>alert(1)</script>.tif'
    made = [
        (f"layer:{evil}", evil.replace("/", "_"), GOOD | {"text": "<img src=x onerror=alert(1)>"})
    ]
    made.append(("javascript:alert(1)", "a&b#?.tif", GOOD))
    with closing(folder_of(tmp_path / "out", *made)) as folder:
        write_summary(folder)
    cells = [row["result"] for row in table(tmp_path / "out")]
    assert cells[1].startswith("'=HYPERLINK") or cells[0].startswith("'=HYPERLINK")
    found = page(tmp_path / "out")
    assert found.tags.count("script") == 1
    assert "img" not in found.tags
    assert all(link.startswith("./") for link in found.links)
    assert {unquote(link) for link in found.links} == {f"./{output}" for _, output, _ in made}


def test_a_manifest_that_tells_nonsense_of_a_verdict_is_no_verdict(tmp_path: Path) -> None:
    nonsense = [
        {"level": "x", "text": "y"},
        {"level": "good", "text": 3},
        GOOD | {"error": "a", "noise": [1], "blur_px": -1},
    ]
    made = [(f"/in/{number}.tif", f"{number}.tif", each) for number, each in enumerate(nonsense)]
    with closing(folder_of(tmp_path / "out", *made)) as folder:
        write_summary(folder)
    rows = {row["result"]: row for row in table(tmp_path / "out")}
    assert [rows[f"{number}.tif"]["verdict"] for number in range(3)] == ["", "", "good"]
    assert (
        rows["2.tif"]["error_percent"],
        rows["2.tif"]["noise_percent"],
        rows["2.tif"]["blur_px"],
    ) == ("", "", "")


def test_results_that_are_gone_and_failed_images_that_are_gone_are_not_told_of(
    restored, tmp_path: Path
) -> None:
    write(tmp_path / "in" / "a.tif")
    write(tmp_path / "in" / "c.tif")
    (tmp_path / "in" / "b.tif").write_text("no image")
    restored([tmp_path / "in"]).outputs[0].unlink()
    (tmp_path / "in" / "b.tif").unlink()
    restored([tmp_path / "in" / "c.tif"])
    assert [row["result"] for row in table(tmp_path / "out")] == ["c.ome.tif"]


def test_a_table_that_cannot_be_written_is_said_and_the_results_are_kept(
    restored, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / TABLE).symlink_to(tmp_path / "elsewhere")
    batch = restored([write(tmp_path / "a.tif")])
    assert (
        batch.summary_problem
        == f"{tmp_path / 'out' / TABLE} is a link to something else; remove the link, and start "
        "again."
    )
    assert len(batch.outputs) == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("count", [1000])
def test_a_thousand_rows_are_written(tmp_path: Path, count: int) -> None:
    made = [(f"/in/{number:04}.tif", f"{number:04}.ome.tif", GOOD) for number in range(count)]
    with closing(folder_of(tmp_path / "out", *made)) as folder:
        write_summary(folder)
    assert len(table(tmp_path / "out")) == count
    assert len(page(tmp_path / "out").rows) == count + 1
    assert (tmp_path / "out" / PAGE).stat().st_size < 1_000_000
