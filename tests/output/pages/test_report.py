"""The page of a run, as a person meets it: in a real browser."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from nst_rs.config.loading import PRESETS
from nst_rs.geo.footprint import turned
from nst_rs.geo.grid import Grid
from nst_rs.output.files import Outputs
from nst_rs.output.pages.report import render
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.output.pictures.preview import as_webp
from tests.browser import DESKTOP, PHONE, browsing, complaints, pixels
from tests.finished_runs import MAP, SCENE, pictures_of, record_of
from tests.places import EVERYWHERE
from tests.rasters import NORTH_UP, UTM

PLACES = (
    "UTM zone 60 across 180°",
    "degrees, 0 to 360",
    "EPSG:3857 across its eastern edge",
    "EPSG:3832, of the Pacific",
    "EPSG:3413 around the pole",
    "EPSG:3031 around the pole",
)


ON_THE_WAY = [
    SmallPicture(level, iteration, loss, as_webp(Image.new("RGBA", (60 * level, 40 * level), MAP)))
    for level, iteration, loss in ((1, 50, 3.25), (1, 100, 2.5), (2, 4, None))
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = Outputs(tmp_path_factory.mktemp("report") / "map.tif")
    pictures = replace(pictures_of(), on_the_way=ON_THE_WAY)
    made.report.write_text(render(pictures, made.tif, record_of()), encoding="utf-8")
    return made.report.as_uri()


@pytest.fixture(scope="module", params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def browser(request: pytest.FixtureRequest) -> Iterator[webdriver.Chrome]:
    with browsing(request.param) as found:
        yield found


@pytest.fixture(scope="module")
def desktop() -> Iterator[webdriver.Chrome]:
    with browsing(DESKTOP) as found:
        yield found


def opened(browser: webdriver.Chrome, page: str) -> None:
    browser.get(page)
    WebDriverWait(browser, 10).until(lambda b: b.find_element(By.ID, "length").text)


def shares(browser: webdriver.Chrome) -> tuple[float, float]:
    """How much of the map's view shows the scene, and how much the map; both are of one colour."""
    seen = pixels(browser.find_element(By.ID, "view")).astype(int)
    scene, styled = ((np.abs(seen - color).max(axis=-1) < 16).mean() for color in (SCENE, MAP))
    return float(scene), float(styled)


def test_the_page_renders_whole_and_without_a_word_on_the_console(browser: webdriver.Chrome, page: str) -> None:
    opened(browser, page)
    assert complaints(browser) == []
    broken = "return [...document.images].filter(image => !image.complete || !image.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    assert browser.find_element(By.TAG_NAME, "h1").text == "map"
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg.curves polyline.total")) == 2
    assert browser.find_element(By.ID, "command").text == "nst-rs stylize --config map.run.json"


def test_the_page_is_never_wider_than_its_window(browser: webdriver.Chrome, page: str) -> None:
    opened(browser, page)
    for element in browser.find_elements(By.TAG_NAME, "summary"):
        element.click()
    width, window = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= window


def test_the_page_shows_how_the_map_came_about(browser: webdriver.Chrome, page: str) -> None:
    opened(browser, page)
    shown = browser.find_elements(By.CSS_SELECTOR, "section[aria-labelledby=way-title] figure")
    assert [figure.text.split("\n") for figure in shown] == [
        ["Level 1, iteration 50", "loss 3.25"],
        ["Level 1, iteration 100", "loss 2.5"],
        ["Level 2, iteration 4"],
    ]
    sizes = [figure.find_element(By.TAG_NAME, "img").size for figure in shown]
    assert sizes[0] == sizes[1] == sizes[2]  # of different levels, and of one place
    assert sizes[0]["width"] / sizes[0]["height"] == pytest.approx(1.5, rel=0.05)


def test_the_slider_goes_from_the_map_to_the_scene_by_keyboard(browser: webdriver.Chrome, page: str) -> None:
    opened(browser, page)
    slider = browser.find_element(By.ID, "slider")
    half = shares(browser)
    slider.send_keys(Keys.HOME)
    styled = shares(browser)
    slider.send_keys(Keys.END)
    scene = shares(browser)
    slider.send_keys(Keys.ARROW_LEFT)
    assert slider.get_attribute("aria-valuetext") == "100 % scene, 1 % map"
    # The rest is furniture, and the corner without data.
    assert min(half) > 0.3
    assert styled == (pytest.approx(0, abs=0.01), pytest.approx(0.85, abs=0.1))
    assert scene == (pytest.approx(0.85, abs=0.1), pytest.approx(0, abs=0.01))


def test_the_handle_is_dragged_over_the_map(desktop: webdriver.Chrome, page: str) -> None:
    opened(desktop, page)
    width = desktop.find_element(By.ID, "view").size["width"]
    before = shares(desktop)
    handle = desktop.find_element(By.ID, "divider")
    ActionChains(desktop).drag_and_drop_by_offset(handle, -width // 4, 0).perform()
    after = shares(desktop)
    assert before[0] - after[0] == pytest.approx(0.25, abs=0.06)
    assert float(desktop.find_element(By.ID, "slider").get_attribute("value") or 0) == pytest.approx(25, abs=1)


def test_what_has_no_data_shows_neither_scene_nor_map(desktop: webdriver.Chrome, page: str) -> None:
    opened(desktop, page)
    seen = pixels(desktop.find_element(By.ID, "view")).astype(int)
    height, width, _ = seen.shape
    corner = seen[int(0.83 * height) : int(0.97 * height), int(0.82 * width) : int(0.9 * width)]
    for color in (SCENE, MAP):
        assert np.abs(corner - color).max(axis=-1).min() > 60


@pytest.mark.parametrize(
    "grid",
    [
        Grid(CRS.from_string(UTM), NORTH_UP, 300, 200),
        Grid(CRS.from_string(UTM), NORTH_UP @ Affine.rotation(25), 300, 200),
        Grid(CRS.from_epsg(4326), Affine(0.01, 0, 178.9, 0, -0.01, 10), 300, 200),
        *(EVERYWHERE[name] for name in PLACES),
    ],
    ids=["UTM", "rotated", "degrees, over the antimeridian", *PLACES],
)
def test_the_readout_says_where_the_pointer_is(desktop: webdriver.Chrome, tmp_path: Path, grid: Grid) -> None:
    made = Outputs(tmp_path / "map.tif")
    made.report.write_text(render(pictures_of(grid=grid), made.tif, record_of()), encoding="utf-8")
    opened(desktop, made.report.as_uri())
    view = desktop.find_element(By.ID, "view")
    size = view.size
    ActionChains(desktop).move_to_element_with_offset(view, size["width"] // 5, -size["height"] // 4).perform()
    column, row = (int(part) for part in desktop.find_element(By.ID, "pixel").text.split(", "))
    assert (column, row) == (pytest.approx(300 * 0.7, abs=2), pytest.approx(200 * 0.25, abs=2))
    x, y = grid.transform @ (column + 0.5, row + 0.5)
    if not grid.crs.is_geographic:
        parts = desktop.find_element(By.ID, "projected").text.split(",")
        said = [float(re.sub(r"[^\d-]", "", part)) for part in parts]
        assert said == [pytest.approx(value, abs=max(grid.pixel)) for value in (x, y)]
    pattern = r"([\d.]+)° ([NS]), ([\d.]+)° ([EW])"
    found = re.fullmatch(pattern, desktop.find_element(By.ID, "degrees").text)
    assert found is not None
    latitude, longitude = (float(found[i]) * (-1 if found[i + 1] in "SW" else 1) for i in (1, 3))
    assert abs(longitude) <= 180
    back = transform("EPSG:4326", grid.crs, [longitude], [latitude])
    places = [~copy @ (back[0][0], back[1][0]) for copy in turned(grid)]
    assert min(math.hypot(p[0] - column - 0.5, p[1] - row - 0.5) for p in places) < 1


@pytest.mark.parametrize("name", PLACES)
def test_the_compass_is_shown_where_there_is_one_north(desktop: webdriver.Chrome, tmp_path: Path, name: str) -> None:
    made = Outputs(tmp_path / "map.tif")
    made.report.write_text(render(pictures_of(grid=EVERYWHERE[name]), made.tif, record_of()), encoding="utf-8")
    opened(desktop, made.report.as_uri())
    assert complaints(desktop) == []
    assert desktop.find_element(By.ID, "compass").is_displayed() == ("pole" not in name)


def test_ticks_in_degrees_stay_on_the_globe(desktop: webdriver.Chrome, tmp_path: Path) -> None:
    made = Outputs(tmp_path / "map.tif")
    made.report.write_text(
        render(pictures_of(grid=EVERYWHERE["degrees, 178 to 182"]), made.tif, record_of()), encoding="utf-8"
    )
    opened(desktop, made.report.as_uri())
    ticks = [tick.text for tick in desktop.find_elements(By.CSS_SELECTOR, "#ticks .e")]
    assert {tick[-1] for tick in ticks} == {"E", "W"}
    assert all(177 < float(tick.split("°")[0]) <= 180 for tick in ticks)


def test_the_scale_bar_is_as_long_as_it_says(desktop: webdriver.Chrome, page: str) -> None:
    opened(desktop, page)
    view, shown = desktop.find_element(By.ID, "view"), []
    for _ in range(3):
        label, unit = desktop.find_element(By.ID, "length").text.split()
        metres = float(label) * {"km": 1000, "m": 1}[unit]
        bar = desktop.execute_script("return document.getElementById('bar').getBoundingClientRect().width")
        shown.append(metres / bar * view.size["width"])
        view.send_keys("+")
    # Metres across the view: 300 pixels of 30 m, then less with every step of the zoom.
    assert shown == [pytest.approx(9000 / 1.6**step, rel=0.02) for step in range(3)]


def test_zooming_by_keyboard_and_back(desktop: webdriver.Chrome, page: str) -> None:
    opened(desktop, page)
    view = desktop.find_element(By.ID, "view")
    view.send_keys("+", Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    moved = desktop.find_element(By.ID, "stage").get_attribute("style")
    assert "scale(1.6)" in (moved or "")
    view.send_keys("0")
    assert "translate(0px, 0px) scale(1)" in (desktop.find_element(By.ID, "stage").get_attribute("style") or "")
    assert complaints(desktop) == []


def test_everything_shown_is_in_the_page_and_has_a_name(desktop: webdriver.Chrome, page: str) -> None:
    opened(desktop, page)
    asked = "return performance.getEntriesByType('resource').filter(entry => !entry.name.startsWith('data:')).length"
    assert desktop.execute_script(asked) == 0
    nameless = "return [...document.images].filter(image => !image.alt).length"
    assert desktop.execute_script(nameless) == 0
    for element in desktop.find_elements(By.CSS_SELECTOR, "button, input, [role=img], [tabindex]"):
        assert element.accessible_name


HOSTILE = "</script><img src=x onerror=document.title=666>"


def test_names_from_outside_are_only_shown(desktop: webdriver.Chrome, tmp_path: Path) -> None:
    record: dict[str, Any] = record_of({"style.images": {f"/art/{HOSTILE}": 1}})
    record["inputs"][0]["path"] = f"C:\\data\\{HOSTILE}"
    record["device"] = HOSTILE
    made = Outputs(tmp_path / "an <b>odd & 'quoted'.tif")
    made.report.write_text(render(pictures_of(), made.tif, record), encoding="utf-8")
    opened(desktop, made.report.as_uri())
    assert complaints(desktop) == []
    assert desktop.title.startswith("an <b>odd & 'quoted'")
    assert len(desktop.find_elements(By.CSS_SELECTOR, "img")) == 3
    assert (
        desktop.find_element(By.ID, "command").text
        == """nst-rs stylize --config 'an <b>odd & '"'"'quoted'"'"'.run.json'"""
    )


def test_the_page_names_no_folder(tmp_path: Path) -> None:
    text = render(pictures_of(), tmp_path / "map.tif", record_of())
    for folder in (str(tmp_path), "/data/", "/art/", "/maps/"):
        assert folder not in text
    assert "the painting.jpg" in text
    assert "scene.tif" in text


def test_a_run_of_one_tile_and_one_iteration_has_a_page(tmp_path: Path) -> None:
    record = record_of({"objective.alpha": 0.0})
    record["figures"]["seams"] = {"lines": 0, "result": None, "standard_error": None, "content": None}
    for level in record["levels"]:
        losses = level["losses"]
        level["losses"] = {
            "total": losses["total"][:1],
            **{term: {name: values[:1] for name, values in losses[term].items()} for term in ("content", "style")},
        }
        level["terms"] = [{**term, "share": term["share"][:1]} for term in level["terms"]]
    text = render(pictures_of(), tmp_path / "map.tif", record)
    assert "Seam ratio" not in text
    assert text.count('<circle class="total"') == 2
    assert 'class="content"' not in text
    assert "distance to the scene" not in text


def legibility_of(page: str) -> tuple[str, str]:
    found = re.search(r'<h3>Legibility</h3><p class="value">(.*?)</p><p class="meaning">(.*?)</p>', page)
    assert found is not None
    return re.sub(r"<.*?>", "", found[1]), found[2]


@pytest.mark.parametrize(
    ("preset", "usual"), [("legible", "0.58"), ("balanced", "0.17"), ("painterly", "0.22"), ("quick", "0.72")]
)
def test_the_page_leads_with_legibility_at_4_pixels_and_what_is_usual(tmp_path: Path, preset: str, usual: str) -> None:
    record = record_of({"schedule.levels": 3, **PRESETS[preset]})
    record["figures"]["legibility"] = {"1": 0.05, "2": 0.09, "4": 0.2}
    page = render(pictures_of(), tmp_path / "map.tif", record)
    value, meaning = legibility_of(page)
    assert page.index("<h3>Legibility") < min(
        page.index(f"<h3>{name}") for name in ("Seam ratio", "Frame ratio", "Time")
    )
    assert value == "0.20 of 1, at 4 pixels"
    assert f"The preset {preset}, as here, has {usual} on the sample scene." in meaning
    assert "0.05 at 1, 0.09 at 2 pixels" in meaning


def test_a_map_of_no_preset_is_compared_with_all_of_them(tmp_path: Path) -> None:
    learned = {**record_of({"schedule.levels": 3}), "levels": []}
    for record in (learned, record_of({"objective.alpha": 0.33})):
        _, meaning = legibility_of(render(pictures_of(), tmp_path / "map.tif", record))
        assert (
            "the presets legible, balanced, painterly and quick have 0.58, 0.17, 0.22 and 0.72 on the sample scene"
            in meaning
        )


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        ({"core_seconds": 171.6, "gpu_seconds": 0, "counted": "this process"}, "172 core-seconds, of this process."),
        ({"core_seconds": 4.26, "gpu_seconds": None, "counted": "us"}, "4.3 core-seconds, of us."),
        (
            {"core_seconds": 4.0, "gpu_seconds": 3000.0, "counted": "us"},
            "4.0 core-seconds, and 3,000 GPU-seconds, of us.",
        ),
    ],
)
def test_the_time_says_what_the_run_cost(tmp_path: Path, cost: dict[str, Any], said: str) -> None:
    page = render(pictures_of(), tmp_path / "map.tif", {**record_of(), "cost": cost})
    assert f"8 iterations, on CPU:0. It cost {said}" in page
    assert "It cost" not in render(pictures_of(), tmp_path / "map.tif", record_of())


def test_every_preset_has_a_usual_legibility(tmp_path: Path) -> None:
    _, meaning = legibility_of(render(pictures_of(), tmp_path / "map.tif", record_of({"objective.alpha": 0.33})))
    assert all(name in meaning for name in PRESETS)


def test_the_page_draws_and_explains_every_term_that_the_record_lists(tmp_path: Path) -> None:
    record = record_of()
    for level in record["levels"]:
        extra = {"name": "odd", "label": "odd <term>", "meaning": "how odd & strange", "share": [4.0, 3.0, 2.0, 1.0]}
        level["terms"] = [*level["terms"], extra]
    text = render(pictures_of(), tmp_path / "map.tif", record)
    legend = re.findall(r'<li style="--key: var\((--[\w-]+)\)">([^<]*)</li>', text)
    assert legend == [
        ("--ink", "total"),
        ("--term-0", "content: distance to the scene"),
        ("--term-1", "style: distance to the painting"),
        ("--term-2", "odd &lt;term&gt;: how odd &amp; strange"),
    ]
    for color, _ in legend:
        assert text.count(f"{color}: #") == 2  # by day and by night
    for name in ("total", "content", "style", "odd"):
        assert text.count(f'<polyline class="{name}"') == len(record["levels"])


def test_a_place_that_is_not_on_earth_has_a_page_without_degrees(desktop: webdriver.Chrome, tmp_path: Path) -> None:
    grid = Grid(CRS.from_wkt('LOCAL_CS["Site",UNIT["metre",1]]'), NORTH_UP, 300, 200)
    made = Outputs(tmp_path / "map.tif")
    made.report.write_text(render(pictures_of(grid=grid), made.tif, record_of()), encoding="utf-8")
    opened(desktop, made.report.as_uri())
    assert complaints(desktop) == []
    assert desktop.find_elements(By.ID, "degrees") == []
    assert not desktop.find_element(By.ID, "compass").is_displayed()
    assert desktop.find_element(By.ID, "projected").text != "–"
