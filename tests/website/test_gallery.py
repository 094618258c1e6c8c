"""The gallery shows what its commands make."""

import re
import shlex

from tests.test_docs import check_command
from website import gallery

MOST_BYTES = 400_000


def test_it_shows_twelve_maps_and_more_each_with_its_picture() -> None:
    maps = gallery.gallery().maps
    assert len(maps) >= 12
    assert [shown.name for shown in maps if not shown.picture.is_file()] == []


def test_every_picture_is_of_a_map_and_small() -> None:
    files = sorted(gallery.PICTURES.iterdir())
    assert files == sorted(shown.picture for shown in gallery.gallery().maps)
    assert max(file.stat().st_size for file in files) < MOST_BYTES


def test_every_command_is_one_that_the_program_takes() -> None:
    listed = gallery.gallery()
    for shown in listed.maps:
        words = shlex.split(listed.command(shown))
        assert words[:2] == ["nst-rs", "stylize"]
        check_command(words[1:])


def test_every_painting_is_there_and_has_a_title() -> None:
    listed = gallery.gallery()
    for shown in listed.maps:
        for painting in shown.paintings:
            assert painting.is_file()
            assert painting.stem in listed.paintings


def test_the_page_has_a_heading_a_picture_and_a_command_for_every_map() -> None:
    listed, page = gallery.gallery(), gallery.page()
    for shown in listed.maps:
        assert f"## {shown.title}\n\n![" in page
        assert f"(gallery/maps/{shown.name}.jpg)" in page
        assert listed.command(shown) in re.sub(r" \\\n +", " ", page)
