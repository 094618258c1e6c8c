import numpy as np
import pytest

from nst_rs.config.loading import override
from nst_rs.config.sections import RunConfig
from nst_rs.style.picture import Style
from nst_rs.style.scaling import at_levels, halved


def style(height: int = 400, width: int = 300) -> Style:
    return Style.opaque(np.random.default_rng(0).uniform(0, 255, (height, width, 3)).astype(np.float32), 0.5)


def test_a_style_is_halved_with_the_levels() -> None:
    config = override(RunConfig(), {"schedule.levels": 3, "style.scaling": "level"})
    coarse, middle, fine = ([each.image.shape[:2] for each in styles] for styles in at_levels(config, [style()]))
    assert (coarse, middle, fine) == ([(100, 75)], [(200, 150)], [(400, 300)])


def test_a_style_of_fixed_size_is_the_same_at_all_levels() -> None:
    config = override(RunConfig(), {"schedule.levels": 3})
    styles = [style()]
    assert all(each is styles for each in at_levels(config, styles))


@pytest.mark.parametrize(("times", "height"), [(0, 400), (1, 200), (2, 100), (3, 100), (9, 100)])
def test_a_style_is_not_halved_below_the_smallest_there_may_be(times: int, height: int) -> None:
    found = halved(style(), times)
    assert len(found.image) == height
    assert found.share == 0.5


def test_what_is_transparent_stays_so() -> None:
    source = style()
    source.weight[:200] = 0
    found = halved(source, 1)
    assert not found.weight[:100].any()
    assert (found.weight[100:] == 1).all()
