import os
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nst_rs.errors import ConfigError, SceneError
from nst_rs.schedule.inbox import Arrival, Inbox, settled


def deliver(path: Path, content: bytes = b"pixels") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("olinda.tif", "recife/r0_c0.tif", "recife/r0_c1.tif", "S2A.SAFE/GRANULE/IMG_DATA/B04.jp2"):
        deliver(tmp_path / "inbox" / name)
    return tmp_path / "inbox"


def look(folder: Path) -> dict[str, Arrival]:
    return {arrival.entry: arrival for arrival in Inbox(str(folder)).look()}


def test_a_scene_is_a_file_or_a_folder_named_without_its_ending(folder: Path) -> None:
    found = look(folder)
    assert {entry: arrival.name for entry, arrival in found.items()} == {
        "S2A.SAFE": "S2A.SAFE",
        "olinda.tif": "olinda",
        "recife": "recife",
    }
    assert [path for path, _, _ in found["recife"].files] == ["recife/r0_c0.tif", "recife/r0_c1.tif"]


@pytest.mark.parametrize(
    "name",
    ["README.md", ".hidden.tif", "._a.tif", ".hidden/a.tif", "notes/read.txt", "olinda.tif.aux.xml", "__MACOSX/a.tif"],
)
def test_what_is_hidden_or_holds_no_raster_is_no_scene(folder: Path, name: str) -> None:
    before = look(folder)
    deliver(folder / name)
    assert look(folder) == before


def test_an_empty_inbox_holds_nothing(tmp_path: Path) -> None:
    assert Inbox(str(tmp_path)).look() == []


def test_a_delivery_is_told_from_another_by_names_sizes_and_times(folder: Path) -> None:
    listings = [look(folder)["recife"].listing]
    deliver(folder / "recife" / "r1_c0.tif")
    listings.append(look(folder)["recife"].listing)
    deliver(folder / "recife" / "r1_c0.tif", b"more pixels")
    listings.append(look(folder)["recife"].listing)
    os.utime(folder / "recife" / "r1_c0.tif", (0, 0))
    listings.append(look(folder)["recife"].listing)
    assert len(set(listings)) == 4
    assert look(folder)["recife"].listing == listings[-1]


def test_a_scene_that_grows_has_not_arrived(folder: Path) -> None:
    inbox = Inbox(str(folder))
    first = inbox.look()
    deliver(folder / "olinda.tif", b"more pixels")
    deliver(folder / "new.tif")
    assert [arrival.entry for arrival in settled(first, inbox.look())] == ["S2A.SAFE", "recife"]


@pytest.mark.parametrize("name", ["r1_c0.tif.part", "r1_c0.tif.filepart", "r1_c0.TMP"])
def test_a_scene_with_a_file_that_is_not_whole_by_its_name_has_not_arrived(folder: Path, name: str) -> None:
    deliver(folder / "recife" / name)
    found = Inbox(str(folder)).look()
    assert "recife" in [arrival.entry for arrival in found]
    assert "recife" not in [arrival.entry for arrival in settled(found, found)]


def test_a_scene_on_this_machine_is_read_where_it_is(folder: Path, tmp_path: Path) -> None:
    for url in (str(folder), f"file://{folder}", os.path.relpath(folder)):
        inbox = Inbox(url)
        fetched = [inbox.fetch(arrival, tmp_path / "copy") for arrival in inbox.look()]
        assert fetched == [folder / "S2A.SAFE", folder / "olinda.tif", folder / "recife"]
    assert not (tmp_path / "copy").exists()


@pytest.fixture
def remote() -> Any:
    system = fsspec.filesystem("memory")
    system.pipe({"/inbox/recife/r0.tif": b"one", "/inbox/recife/deep/r1.tif": b"two", "/inbox/olinda.tif": b"three"})
    yield system
    system.rm("/inbox", recursive=True)


def test_a_scene_elsewhere_is_copied(remote: Any, tmp_path: Path) -> None:
    inbox = Inbox("memory://inbox")
    olinda, recife = inbox.look()
    assert inbox.fetch(recife, tmp_path / "copy") == tmp_path / "copy" / "recife"
    assert (tmp_path / "copy" / "recife" / "deep" / "r1.tif").read_bytes() == b"two"
    assert inbox.fetch(olinda, tmp_path / "copy").read_bytes() == b"three"
    assert not (tmp_path / "copy" / "recife").exists()


def test_a_scene_elsewhere_that_changes_is_another_delivery(remote: Any) -> None:
    before = Inbox("memory://inbox").look()
    time.sleep(0.001)
    remote.pipe("/inbox/olinda.tif", b"seven")
    assert [arrival.entry for arrival in settled(before, Inbox("memory://inbox").look())] == ["recife"]


def test_a_name_that_leads_out_of_the_inbox_is_refused(remote: Any, tmp_path: Path) -> None:
    hostile = Arrival("recife", (("recife/../../x.tif", 1, ""),))
    with pytest.raises(SceneError, match=r"scene recife: expected names inside the inbox, got recife/\.\./\.\./x\.tif"):
        Inbox("memory://inbox").fetch(hostile, tmp_path / "copy")
    assert not (tmp_path / "x.tif").exists()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("nowhere", "inbox nowhere: expected a folder, got none of that name"),
        ("nosuch://bucket", "inbox nosuch://bucket: expected a folder, or a URL fsspec knows, got Protocol not known"),
    ],
)
def test_an_inbox_that_is_not_there_is_told_in_one_line(url: str, complaint: str) -> None:
    with pytest.raises(SceneError, match=complaint):
        Inbox(url).look()


def test_all_that_lies_in_an_inbox_has_a_name_there_also_what_cannot_be_read(folder: Path) -> None:
    (folder / "elsewhere").symlink_to(folder.parent / "a disk that is not there")
    deliver(folder / ".hidden.tif")
    assert "elsewhere" not in look(folder)
    assert Inbox(str(folder)).names() == {"S2A.SAFE", "olinda.tif", "recife", "elsewhere", ".hidden.tif"}


def test_maps_are_not_written_into_the_inbox_where_they_would_be_scenes(folder: Path) -> None:
    inbox = Inbox(str(folder))
    for inside in (folder, folder / "maps", folder.parent / "maps" / ".." / folder.name / "maps"):
        with pytest.raises(ConfigError, match="expected a folder outside of the inbox"):
            inbox.check_apart(inside)
    inbox.check_apart(folder.parent)
    inbox.check_apart(folder / ".maps")
