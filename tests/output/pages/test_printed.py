"""Pages to print, read back by another library."""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pypdf import PdfReader
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from nst_rs.config.loading import override
from nst_rs.config.sections import OutputSection, PrintedPage, RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.geo.grid import Grid
from nst_rs.output.files import Outputs
from nst_rs.output.finished_run import FinishedRun
from nst_rs.output.pages.print_page import Layout, Page, draw, lines_between, metres_across
from nst_rs.output.pages.printed import COMPANION, in_words, print_beside, print_map
from nst_rs.output.rasters.geotiff import StyledMap
from tests.finished_runs import record_of
from tests.full_disk import files_of_at_most
from tests.places import EVERYWHERE, ORDINARY
from tests.published import publish_alone
from tests.rasters import NORTH_UP, UTM, random_values, write_raster

MILLIMETRE = 72 / 25.4


def map_on(grid: Grid, folder: Path, **profile: Any) -> Path:
    values = random_values((3, grid.height, grid.width))
    place = {"crs": grid.crs, "transform": grid.transform, "photometric": "rgb"}
    return write_raster(folder / "map.tif", values, **place, **profile)


def printed(grid: Grid, folder: Path, **page: Any) -> PdfReader:
    print_beside(map_on(grid, folder), folder / "page.pdf", PrintedPage(**page))
    return PdfReader(folder / "page.pdf")


def words_of(reader: PdfReader) -> str:
    (page,) = reader.pages
    return page.extract_text()


@pytest.mark.parametrize(("paper", "short", "long"), [("a4", 210, 297), ("a0", 841, 1189), ("letter", 216, 279)])
def test_the_paper_is_turned_as_the_map_is(tmp_path: Path, paper: str, short: int, long: int) -> None:
    wide = ORDINARY["UTM"]
    tall = Grid(wide.crs, wide.transform, wide.height, wide.width)
    for grid, size in ((wide, (long, short)), (tall, (short, long))):
        (page,) = printed(grid, tmp_path, paper=paper).pages
        found = float(page.mediabox.width) / MILLIMETRE, float(page.mediabox.height) / MILLIMETRE
        assert found == pytest.approx(size, abs=0.1)  # PDF rounds points


def test_the_page_has_title_degrees_scale_and_where_the_map_comes_from(tmp_path: Path) -> None:
    words = words_of(printed(ORDINARY["UTM"], tmp_path, title="Fields of $5 and $6", attribution="© The makers"))
    for expected in ("Fields of $5 and $6", "© The makers", "EPSG:32621", "2 km", "N", "57° W", "45° 08′ N"):
        assert expected in words
    assert "1 : 40,500" in words  # 6 km from north to south on the 148 mm that margins and words leave


@pytest.mark.parametrize("shape", [(40, 60), (400, 6), (6, 400)])
@pytest.mark.parametrize("words", ["Fields", "W" * 200, "many words " * 40, "$5 " * 90, " "])
def test_words_of_any_length_end_on_the_paper_and_degrees_do_not_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], words: str
) -> None:
    def look(figure: Figure, *_: object, **__: object) -> None:
        figure.set_dpi(400)  # so that small letters are not rounded up to whole pixels
        renderer = FigureCanvasAgg(figure).get_renderer()
        boxes = [text.get_window_extent(renderer) for text in figure.texts]
        assert boxes
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
        degrees = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
        for edge in ([box for box in degrees if box.width > box.height], [x for x in degrees if x.width < x.height]):
            assert edge
            assert not any(one.overlaps(other) for one, other in combinations(edge, 2))

    monkeypatch.setattr(Figure, "savefig", look)
    grid = Grid(CRS.from_string(UTM), NORTH_UP, shape[1], shape[0])
    draw(tmp_path / "page.pdf", Page("a4", 100, words, words), grid, np.zeros((*shape, 4), np.uint8))


def test_unless_told_otherwise_the_words_are_the_maps_name_and_what_its_record_says(tmp_path: Path) -> None:
    record = record_of()
    record["scene"]["acquired"] = ["2020-05-18T13:00:00+00:00"] * 2
    record["scene"]["sensor"] = "landsat-8"
    print_map(map_on(ORDINARY["UTM"], tmp_path), tmp_path / "page.pdf", PrintedPage(), record)
    words = words_of(PdfReader(tmp_path / "page.pdf"))
    assert "map" in words
    assert "landsat-8 2020-05-18" in words
    assert "after the painting" in words
    assert in_words({}) == ""


def test_the_picture_is_the_maps_pixels_and_has_holes_where_it_has(tmp_path: Path) -> None:
    grid = ORDINARY["UTM"]
    values, mask = random_values((3, *grid.shape)), np.ones(grid.shape, bool)
    mask[50:80, 100:140] = False
    tif = write_raster(tmp_path / "map.tif", values, crs=grid.crs, transform=grid.transform, mask=mask)
    print_map(tif, tmp_path / "page.pdf", PrintedPage(), {})
    (page,) = PdfReader(tmp_path / "page.pdf").pages
    (picture,) = page.images
    found = np.asarray(picture.image.convert("RGBA"))[::-1]  # a PDF's rows run upwards
    assert np.array_equal(found[..., 3] > 0, mask)
    assert np.array_equal(found[mask][:, :3], np.moveaxis(values, 0, -1)[mask])


def test_red_green_and_blue_are_the_bands_that_a_raster_calls_so(tmp_path: Path) -> None:
    grid = ORDINARY["UTM"]
    values = random_values((4, *grid.shape))
    tif = write_raster(tmp_path / "map.tif", values, crs=grid.crs, transform=grid.transform)
    red, green, blue, undefined = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined
    for called, bands in (
        ((blue, green, red, undefined), (3, 2, 1)),
        ((undefined, red, blue, green), (2, 4, 3)),
        ((undefined,) * 4, (1, 2, 3)),
    ):
        with rasterio.open(tif, "r+") as target:
            target.colorinterp = called
        print_map(tif, tmp_path / "page.pdf", PrintedPage(), {})
        (page,) = PdfReader(tmp_path / "page.pdf").pages
        (picture,) = page.images
        found = np.asarray(picture.image.convert("RGB"))[::-1]
        assert np.array_equal(found, np.moveaxis(values[[number - 1 for number in bands]], 0, -1))


def test_a_map_of_more_pixels_than_the_printer_has_is_reduced() -> None:
    grid = Grid(CRS.from_epsg(32621), Affine(10, 0, 0, 0, -10, 0), 12_000, 9_000)
    page = Page("a4", 150, "", "")
    layout = Layout.of(page, grid)
    height, width = layout.pixels(grid, page.dpi)
    assert width == round(layout.width / 25.4 * 150) < 297 / 25.4 * 150
    assert height / width == pytest.approx(9 / 12, rel=1e-3)
    assert Layout.of(page, ORDINARY["UTM"]).pixels(ORDINARY["UTM"], 600) == ORDINARY["UTM"].shape


@pytest.mark.parametrize("place", EVERYWHERE)
def test_a_map_is_printed_wherever_it_lies(tmp_path: Path, place: str) -> None:
    assert "somewhere" in words_of(printed(EVERYWHERE[place], tmp_path, title="somewhere"))


def test_a_map_that_says_nowhere_on_earth_has_no_degrees_and_no_scale(tmp_path: Path) -> None:
    site = CRS.from_wkt('LOCAL_CS["Site",UNIT["metre",1]]')
    words = words_of(printed(Grid(site, Affine(2, 0, 0, 0, -2, 0), 60, 40), tmp_path))
    assert "°" not in words
    assert " : " not in words


def test_metres_are_the_grounds_and_not_mercators() -> None:
    for grid, metres in ((ORDINARY["UTM"], 30.0), (ORDINARY["degrees"], 759.0), (ORDINARY["EPSG:3857"], 68.0)):
        # The Earth is taken for a sphere, and UTM has a scale of its own.
        assert metres_across(grid) == pytest.approx(metres, rel=0.01)


def test_the_same_map_makes_the_same_file(tmp_path: Path) -> None:
    tif = map_on(ORDINARY["UTM"], tmp_path)
    for name in ("a", "b"):
        print_map(tif, tmp_path / f"{name}.pdf", PrintedPage(), {})
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


@pytest.mark.parametrize(("low", "high"), [(-180.0, 180.0), (10.0, 10.01), (-8.05, -7.9), (0.0, 7.0)])
def test_a_graticule_has_a_few_round_lines(low: float, high: float) -> None:
    lines = lines_between(low, high)
    assert 3 <= len(lines) <= 13
    assert all(low - 1e-9 <= line <= high + 1e-9 for line in lines)


def test_a_run_makes_a_page_where_it_is_asked_for(tmp_path: Path) -> None:
    record = record_of({"output.page": "a3"})
    outputs = Outputs(tmp_path / "map.tif", OutputSection(page=PrintedPage(paper="a3")))
    grid = ORDINARY["UTM"]
    picture = np.full((*grid.shape, 3), 99, np.float32)
    styled = StyledMap(picture, np.ones(grid.shape, np.float32), grid, "deflate")
    publish_alone(outputs, styled, lambda: record, COMPANION)
    (page,) = PdfReader(tmp_path / "map.pdf").pages
    assert float(page.mediabox.width) / MILLIMETRE == pytest.approx(420, abs=0.1)
    assert "page" not in Outputs(tmp_path / "map.tif").companions


@pytest.mark.parametrize("room", [0, 100, 10_000])
def test_a_page_is_whole_or_not_there_wherever_the_disk_becomes_full(tmp_path: Path, room: int) -> None:
    tif, target = map_on(ORDINARY["UTM"], tmp_path), tmp_path / "page.pdf"
    target.write_bytes(b"earlier")
    complaint = r"page\.pdf: expected room and leave to write, got .*; free some space"
    with files_of_at_most(room), pytest.raises(OutputError, match=complaint):
        print_beside(tif, target, PrintedPage())
    assert target.read_bytes() == b"earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"map.tif", "page.pdf"}


@pytest.mark.parametrize("name", ["map.tif", "page.png", "page", "map.tif.pdf/"])
def test_a_page_takes_no_other_files_place(tmp_path: Path, name: str) -> None:
    tif = write_raster(tmp_path / "map.tif", random_values((3, 20, 30)))
    before = tif.read_bytes()
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=rf"output .*{name.strip('/')}"):
        print_beside(tif, tmp_path / name, PrintedPage())
    assert tif.read_bytes() == before


def test_a_map_that_lies_nowhere_is_told(tmp_path: Path) -> None:
    tif = write_raster(tmp_path / "map.tif", random_values((3, 20, 30)), crs=None)
    with pytest.raises(OutputError, match=r"map .*map.tif: expected a CRS, which says where it lies, got none"):
        print_beside(tif, tmp_path / "page.pdf", PrintedPage())


def test_what_is_no_map_is_told(tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_text("no map")
    for name in ("map.tif", "nothing.tif"):
        with pytest.raises(OutputError, match=rf"map .*{name}: expected a map that nst-rs made"):
            print_beside(tmp_path / name, tmp_path / "page.pdf", PrintedPage())


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("a7", r"output\.page\.paper: expected 'a4', 'a3', .* got 'a7'"),
        ({"paper": "a4", "dpi": 5000}, r"output\.page\.dpi: expected less than or equal to 600, got 5000"),
        ({"size": 1}, r"unknown key output\.page\.size: expected one of paper, dpi, title, attribution"),
    ],
)
def test_a_page_that_there_is_none_of_is_refused(page: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(RunConfig(), {"output.page": page})


def test_the_page_of_a_greyscale_raster_is_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "map.tif", random_values((1, 20, 30)))
    with pytest.raises(OutputError, match=r"map .*: expected three bands or more, of bytes, got 1 of type uint8"):
        print_beside(tmp_path / "map.tif", tmp_path / "page.pdf", PrintedPage())


@pytest.mark.parametrize(
    "text",
    [
        '{"scene": ',
        "[]",
        "5",
        '{"scene": []}',
        '{"scene": {"acquired": 5}}',
        '{"configuration": []}',
        '{"configuration": {"style": 3}}',
        '{"configuration": {"style": {"regions": [3]}}}',
    ],
)
def test_a_map_beside_another_kind_of_record_is_printed_without_its_words(tmp_path: Path, text: str) -> None:
    tif = map_on(ORDINARY["UTM"], tmp_path)
    Outputs(tif).record.write_text(text)
    print_beside(tif, tmp_path / "page.pdf", PrintedPage(paper="a4", dpi=72))
    assert "map" in PdfReader(tmp_path / "page.pdf").pages[0].extract_text()
    with pytest.raises(OutputError, match=r"map\.run\.json: expected the map's run record, got [^\n]{3,200}$"):
        FinishedRun.of(tif)


@pytest.mark.parametrize("width", [4, 16, 60, 200, 900])
def test_scale_bar_and_arrow_stand_apart_under_a_map_of_any_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    figures: list[Figure] = []
    savefig = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kw: (figures.append(self), savefig(self, *args, **kw)))
    grid = Grid(CRS.from_string(UTM), NORTH_UP, width, 900)
    draw(tmp_path / "page.pdf", Page("a4", 72, "narrow", ""), grid, np.zeros((9, 9, 4), np.uint8))
    figure = figures[0]
    renderer = FigureCanvasAgg(figure).get_renderer()
    bar, arrow = figure.axes[1:]
    numbers = [text.get_window_extent(renderer) for text in bar.texts]
    assert all(not one.overlaps(other) for one, other in combinations(numbers, 2))
    assert max(box.x1 for box in numbers) < min(text.get_window_extent(renderer).x0 for text in arrow.texts)
    assert arrow.get_window_extent(renderer).x1 <= figure.bbox.x1
