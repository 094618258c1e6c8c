"""Files of earlier versions are read, as docs/upgrading.md promises. Where they are from: tests/earlier/README.md."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from nst_rs.config.loading import load_config
from nst_rs.learned import style_file
from nst_rs.learned.style_file import read_learned
from nst_rs.output.pages.printed import in_words, record_of
from nst_rs.schedule.catalogue import Catalogue, product_name

EARLIER = Path(__file__).parent / "earlier"
STYLES = {"2": Path(__file__).parent / "learned" / "version2" / "small.style", "3": EARLIER / "version3.style"}
CONFIGURATIONS = sorted(EARLIER.glob("*.yaml"))
RECORDS = sorted(EARLIER.glob("*.run.json"))
GONE = {"learn.normalised"}
"""Keys that have gone: at their defaults they are read as before, and have no effect."""


def settings_of(path: Path) -> dict[str, dict[str, Any]]:
    """Section → key → value, as a file says them."""
    if path.suffix == ".json":
        recorded: dict[str, dict[str, Any]] = json.loads(path.read_text())["configuration"]
        return recorded
    written: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())
    return written


def test_there_are_files_of_each_kind() -> None:
    assert len(CONFIGURATIONS) >= 2
    assert len(RECORDS) >= 2


@pytest.mark.parametrize("path", [*CONFIGURATIONS, *RECORDS], ids=lambda path: path.name)
def test_an_earlier_configuration_means_what_it_says(path: Path) -> None:
    config = load_config(path)
    read = config.model_dump(mode="json")
    for section, settings in settings_of(path).items():
        kept = {key for key in settings if f"{section}.{key}" not in GONE}
        assert kept <= getattr(config, section).model_fields_set
        for key in kept - {"paths", "images", "path"}:  # those start from the file's folder
            assert read[section][key] == settings[key], f"{section}.{key}"


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("2026-11-25-olinda_infrared.yaml", "night_cafe-5f265ef253bd"),
        ("2026-11-25-run1.yaml", "harvest-7c759e07e86a"),
    ],
)
def test_an_inbox_goes_on_in_the_folder_that_an_earlier_version_made_for_its_product(
    name: str, product: str, tmp_path: Path, harvest: Path
) -> None:
    # As deep as it lay, so that its relative paths reach the paintings.
    place = tmp_path / "configs" / "experiments" / name if "run1" in name else tmp_path / "configs" / name
    place.parent.mkdir(parents=True)
    shutil.copy(EARLIER / name, place)
    (tmp_path / "sample_data").symlink_to(harvest.parents[1])
    assert product_name(load_config(place)) == product


def test_an_earlier_catalogue_is_gone_on_with() -> None:
    entries = Catalogue.read(EARLIER).entries
    assert {name: (entry.state, entry.attempts, entry.map) for name, entry in entries.items()} == {
        "broken": ("failed", 1, ""),
        "olinda_centre": ("made", 1, "olinda_centre.tif"),
    }
    assert entries["olinda_centre"].item is not None
    assert entries["broken"].reason


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_an_earlier_record_describes_its_map(path: Path) -> None:
    record = record_of(path.with_name(path.name.replace(".run.json", ".tif")))
    assert record
    assert "harvest" in in_words(record)


@pytest.mark.parametrize("version", style_file._KNOWN)
def test_a_learned_style_of_every_version_that_is_read_is_kept_and_read(version: str) -> None:
    from safetensors import safe_open

    with safe_open(STYLES[version], framework="numpy") as file:
        assert file.metadata()["version"] == version
    assert read_learned(STYLES[version]).weights
