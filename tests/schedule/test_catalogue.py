import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pystac.validation import validate_dict

from nst_rs.config.loading import load_config, override
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.schedule.catalogue import CATALOGUE, CUT_SHORT, Catalogue, Cost, Entry, clashes, product_name
from nst_rs.schedule.inbox import Arrival
from tests.items import item_of

OLINDA = Arrival("olinda.tif", (("olinda.tif", 1, "0"),))
RECIFE = Arrival("recife", (("recife/a.tif", 1, "0"),))


def again(arrival: Arrival) -> Arrival:
    """The scene, delivered anew."""
    return replace(arrival, files=tuple((path, size + 1, stamp) for path, size, stamp in arrival.files))


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue.read(tmp_path / "product")


def with_failures(catalogue: Catalogue, arrival: Arrival, times: int) -> Catalogue:
    for _ in range(times):
        catalogue = catalogue.with_entry(arrival.name, catalogue.begun(arrival).failed("no CRS"))
    return catalogue


def with_map(catalogue: Catalogue, arrival: Arrival) -> Catalogue:
    tif = catalogue.folder / f"{arrival.name}.tif"
    catalogue = catalogue.with_entry(
        arrival.name, catalogue.begun(arrival).made(tif, item_of(arrival.name), Cost(9.5, 17.25, 0.0))
    )
    tif.write_bytes(b"a map")
    return catalogue


def test_what_is_new_is_due_and_what_is_made_is_not(catalogue: Catalogue) -> None:
    assert catalogue.due([OLINDA, RECIFE], 3) == [OLINDA, RECIFE]
    assert with_map(catalogue, OLINDA).due([OLINDA, RECIFE], 3) == [RECIFE]


def test_what_is_delivered_anew_is_due_again(catalogue: Catalogue) -> None:
    assert with_map(catalogue, OLINDA).due([again(OLINDA)], 3) == [again(OLINDA)]


def test_a_map_that_was_removed_is_due_again(catalogue: Catalogue) -> None:
    catalogue = with_map(catalogue, OLINDA)
    (catalogue.folder / "olinda.tif").unlink()
    assert catalogue.due([OLINDA], 3) == [OLINDA]


@pytest.mark.parametrize(("failures", "due"), [(1, True), (2, True), (3, False), (4, False)])
def test_what_fails_is_tried_so_often_and_no_more(catalogue: Catalogue, failures: int, due: bool) -> None:
    catalogue = with_failures(catalogue, OLINDA, failures)
    assert catalogue.entries["olinda"].attempts == failures
    assert bool(catalogue.due([OLINDA], 3)) == due
    assert bool(catalogue.given_up(3)) != due


def test_what_was_given_up_has_all_its_attempts_again_when_it_is_delivered_anew(catalogue: Catalogue) -> None:
    catalogue = with_failures(catalogue, OLINDA, 3)
    assert catalogue.due([again(OLINDA)], 3)
    assert catalogue.begun(again(OLINDA)).attempts == 1


def test_an_attempt_that_never_ends_has_failed(catalogue: Catalogue) -> None:
    catalogue.with_entry("olinda", catalogue.begun(OLINDA))
    entry = Catalogue.read(catalogue.folder).entries["olinda"]
    assert (entry.state, entry.attempts, entry.reason) == ("failed", 1, CUT_SHORT)


def test_what_is_still_arriving_is_due_and_has_had_no_attempt(catalogue: Catalogue) -> None:
    catalogue = catalogue.with_entry("olinda", Entry.seen(OLINDA))
    assert catalogue.due([OLINDA], 1) == [OLINDA]
    assert catalogue.begun(OLINDA).attempts == 1
    assert catalogue.knows(OLINDA)
    assert not catalogue.knows(again(OLINDA))


def test_a_scene_whose_map_was_removed_for_its_age_is_due_with_all_its_attempts_when_it_comes_back(
    catalogue: Catalogue,
) -> None:
    catalogue = with_map(with_failures(catalogue, OLINDA, 2), OLINDA)
    (catalogue.folder / "olinda.tif").unlink()
    catalogue = catalogue.with_entry("olinda", catalogue.entries["olinda"].removed("old"))
    entry = Catalogue.read(catalogue.folder).entries["olinda"]
    assert (entry.state, entry.map, entry.reason, entry.item) == ("removed", "", "old", None)
    assert catalogue.due([OLINDA], 1) == [OLINDA]
    assert catalogue.begun(OLINDA).attempts == 1


def test_a_map_is_old_when_it_was_made_before_a_time_and_its_scene_is_gone(catalogue: Catalogue) -> None:
    catalogue = with_failures(with_map(catalogue, OLINDA), RECIFE, 1)
    tomorrow, yesterday = (datetime.now(UTC) + timedelta(days=days) for days in (1, -1))
    assert set(catalogue.older_than(tomorrow, [])) == {"olinda"}
    assert set(catalogue.older_than(tomorrow, [RECIFE])) == {"olinda"}
    assert catalogue.older_than(yesterday, []) == {}
    for present in (OLINDA, again(OLINDA), Arrival("olinda", (("olinda/a.tif", 1, "0"),))):
        assert catalogue.older_than(tomorrow, [present]) == {}


@pytest.mark.parametrize("time", ["", "long ago", "2001-01-01T00:00:00"], ids=["none", "no time", "without a zone"])
def test_a_map_of_which_it_is_not_known_when_it_was_made_is_not_old(catalogue: Catalogue, time: str) -> None:
    catalogue = with_map(catalogue, OLINDA)
    catalogue = catalogue.with_entry("olinda", replace(catalogue.entries["olinda"], time=time))
    assert catalogue.older_than(datetime.now(UTC), []) == {}


TEXTS = st.text(max_size=8)
ENTRIES = st.builds(
    Entry,
    entry=TEXTS,
    listing=TEXTS,
    state=st.sampled_from(["made", "failed", "arriving", "removed"]),
    attempts=st.integers(0, 9),
    reason=TEXTS,
    map=st.sampled_from(["", "olinda.tif", "são paulo.tif"]),
    time=TEXTS,
    seconds=st.none() | st.floats(0, 1e6),
    core_seconds=st.none() | st.floats(0, 1e6),
    gpu_seconds=st.none() | st.floats(0, 1e6),
    item=st.none(),
)


@given(st.dictionaries(TEXTS, ENTRIES, max_size=4))
def test_a_catalogue_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, entries: dict) -> None:
    made = {name: replace(entry, item=item_of(name)) for name, entry in entries.items() if entry.state == "made"}
    catalogue = Catalogue(tmp_path_factory.mktemp("product"), entries | made)
    catalogue.write()
    assert Catalogue.read(catalogue.folder) == catalogue


def test_a_catalogue_is_a_collection_of_stac_items_and_so_geojson_with_the_maps_outlines(catalogue: Catalogue) -> None:
    with_failures(with_map(catalogue, OLINDA), RECIFE, 1)
    path = catalogue.folder / CATALOGUE
    data = json.loads(path.read_text())
    assert data["type"] == "FeatureCollection"
    for feature in data["features"]:
        assert validate_dict(feature)
    made, failed = pystac.ItemCollection.from_file(str(path)).items
    assert (made.id, made.geometry) == ("olinda", item_of("olinda")["geometry"])
    assert (made.properties["title"], made.properties["map"], made.properties["state"]) == (
        "a map",
        "olinda.tif",
        "made",
    )
    assert made.assets["map"].href == "olinda.tif"
    assert (failed.geometry, failed.assets, failed.properties["reason"]) == (None, {}, "no CRS")
    assert {path.name for path in catalogue.folder.iterdir()} == {CATALOGUE, "olinda.tif"}


def test_a_map_is_listed_with_what_it_cost(catalogue: Catalogue) -> None:
    properties = json.loads((with_map(catalogue, OLINDA).folder / CATALOGUE).read_text())["features"][0]["properties"]
    assert [properties[name] for name in ("seconds", "core_seconds", "gpu_seconds")] == [9.5, 17.25, 0.0]


def test_a_catalogue_of_before_costs_were_told_still_loads(catalogue: Catalogue) -> None:
    path = with_map(catalogue, OLINDA).folder / CATALOGUE
    data = json.loads(path.read_text())
    for name in ("seconds", "core_seconds", "gpu_seconds"):
        del data["features"][0]["properties"][name]
    path.write_text(json.dumps(data))
    entry = Catalogue.read(catalogue.folder).entries["olinda"]
    assert (entry.state, entry.map, entry.core_seconds) == ("made", "olinda.tif", None)


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ('{"seconds": {"a": 1, "b": 2}, "cost": {"core_seconds": 5, "gpu_seconds": 0}}', Cost(3, 5, 0)),
        ('{"seconds": {"a": 1, "b": 2}}', Cost(3)),
        ("{}", Cost()),
        ("[]", Cost()),
        ("", Cost()),
    ],
)
def test_the_cost_of_a_map_is_what_its_record_tells(tmp_path: Path, text: str, cost: Cost) -> None:
    record = tmp_path / "map.run.json"
    assert Cost.beside(record) == Cost()
    record.write_text(text)
    assert Cost.beside(record) == cost


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": [{}]}', '{"features": 3}'])
def test_a_damaged_catalogue_is_refused_and_left_as_it_is(catalogue: Catalogue, text: str) -> None:
    catalogue.write()
    (catalogue.folder / CATALOGUE).write_text(text)
    with pytest.raises(OutputError, match=r"catalogue .*: expected what an earlier run left, got .*; move it away"):
        Catalogue.read(catalogue.folder)
    assert (catalogue.folder / CATALOGUE).read_text() == text


def test_two_scenes_of_one_name_do_not_share_a_map(catalogue: Catalogue) -> None:
    other = Arrival("olinda.jp2", (("olinda.jp2", 1, "0"),))
    assert clashes([other, OLINDA], catalogue) == {
        "olinda.tif": "olinda.tif: expected a name of its own, got that of olinda.jp2; rename it"
    }
    assert list(clashes([other, OLINDA], with_map(catalogue, OLINDA))) == ["olinda.jp2"]
    assert clashes([OLINDA, RECIFE], with_map(catalogue, OLINDA)) == {}


@pytest.fixture
def style(tmp_path: Path) -> Path:
    path = tmp_path / "harvest.jpg"
    path.write_bytes(b"a painting")
    return path


@pytest.fixture
def config(style: Path) -> RunConfig:
    return load_config(None, [f"style.images={style}"])


def test_a_product_is_named_after_its_style_and_a_digest(config: RunConfig) -> None:
    name, _, digest = product_name(config).partition("-")
    assert name == "harvest"
    assert len(digest) == 12


@pytest.mark.parametrize(
    "setting",
    [
        {"objective.alpha": 0.3},
        {"schedule.levels": 2},
        {"composite.bands": (1, 2, 3)},
        {"compute.precision": "float32"},
    ],
)
def test_another_setting_is_another_product(config: RunConfig, setting: dict) -> None:
    assert product_name(override(config, setting)) != product_name(config)


@pytest.mark.parametrize(
    "setting",
    [
        {"scene.paths": ("a.tif",)},
        {"output.path": "b.tif"},
        {"output.every": 10},
        {"compute.memory": "2GB"},
        {"compute.device": "cpu"},
        {"objective.alpha": 0.2},
    ],
)
def test_where_it_is_made_and_what_is_shown_on_the_way_make_no_other_product(config: RunConfig, setting: dict) -> None:
    assert product_name(override(config, setting)) == product_name(config)


def test_which_workers_share_the_tiles_makes_no_other_product(config: RunConfig) -> None:
    here, there = {"compute.workers": 3}, {"compute.address": "tcp://host:8786"}
    names = {product_name(override(config, {"compute.executor": "dask", **where})) for where in (here, there)}
    assert len(names) == 1


def test_another_painting_under_the_same_name_is_another_product_and_the_same_elsewhere_is_not(
    config: RunConfig, style: Path, tmp_path: Path
) -> None:
    before = product_name(config)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "harvest.jpg"
    copy.write_bytes(style.read_bytes())
    assert product_name(override(config, {"style.images": copy})) == before
    style.write_bytes(b"another painting")
    assert product_name(config) != before


def test_another_picture_to_start_from_is_another_product(config: RunConfig, tmp_path: Path) -> None:
    start = tmp_path / "start.png"
    start.write_bytes(b"a picture")
    begun = override(config, {"schedule.init": start})
    before = product_name(begun)
    assert before != product_name(config)
    start.write_bytes(b"another picture")
    assert product_name(begun) not in (before, product_name(config))


def test_a_product_needs_a_style(config: RunConfig) -> None:
    with pytest.raises(ConfigError, match=r"style\.images: expected an image, got none"):
        product_name(load_config(None))
    with pytest.raises(ConfigError, match=r"nowhere\.jpg: expected a readable file, got"):
        product_name(load_config(None, ["style.images=nowhere.jpg"]))


def test_the_map_of_a_scene_never_has_the_name_of_anothers_bands(catalogue: Catalogue) -> None:
    bands = Arrival("olinda.bands.tif", (("olinda.bands.tif", 1, "0"),))
    assert list(clashes([bands, OLINDA], catalogue)) == ["olinda.tif"]  # the first that was seen has the name
    assert list(clashes([bands, OLINDA], with_map(catalogue, OLINDA))) == ["olinda.bands.tif"]
    assert list(clashes([bands, OLINDA], with_map(catalogue, bands))) == ["olinda.tif"]


@pytest.mark.parametrize("elsewhere", ["../olinda.tif", "/maps/olinda.tif", "sub/olinda.tif", ".."])
def test_a_catalogue_that_names_maps_elsewhere_is_refused_for_they_might_be_removed(
    catalogue: Catalogue, elsewhere: str
) -> None:
    catalogue = with_map(catalogue, OLINDA)
    path = catalogue.folder / CATALOGUE
    path.write_text(path.read_text().replace('"map": "olinda.tif"', f'"map": "{elsewhere}"'))
    with pytest.raises(OutputError, match="not in the catalogue's folder"):
        Catalogue.read(catalogue.folder)


def test_a_map_whose_scene_cannot_be_read_now_is_not_old(catalogue: Catalogue) -> None:
    catalogue = with_map(catalogue, OLINDA)
    later = datetime.now(UTC) + timedelta(days=1)
    assert list(catalogue.older_than(later, [RECIFE], ["recife"])) == ["olinda"]
    assert catalogue.older_than(later, [RECIFE], ["recife", "olinda.tif"]) == {}
