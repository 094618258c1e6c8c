"""The companion that docs/architecture.md writes down, beside a map."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from rasterio.crs import CRS

from nst_rs.geo.grid import Grid
from nst_rs.output import companions, files, publish
from nst_rs.output.companion import Companion
from nst_rs.output.files import Outputs
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.output.stac_item import COMPANION as ITEM
from tests.finished_runs import record_of
from tests.published import EMPTY, contents_of
from tests.rasters import NORTH_UP, UTM

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def documented() -> Companion:
    (code,) = re.findall(r"```python\n(\"\"\"A legend.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("documented")
    exec(code, vars(module))  # noqa: S102 - our own page
    companion: Companion = module.COMPANION
    return companion


def test_a_companion_of_ones_own_is_written_listed_in_the_item_and_among_the_runs_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = (documented(), *companions.COMPANIONS)
    for module in (files, publish):
        monkeypatch.setattr(module, "COMPANIONS", listed)
    grid = Grid(CRS.from_string(UTM), NORTH_UP, 40, 30)
    styled = StyledMap(np.zeros((30, 40, 3), np.float32), np.ones((30, 40), bool), grid)
    outputs = Outputs(tmp_path / "map.tif")
    given: dict[str, Any] = {each.name: each for each in (*EMPTY, listed[0], ITEM)}
    publish.publish(outputs, contents_of(styled), record_of, companions=[given[each.name] for each in listed])
    assert set(tmp_path.iterdir()) == set(outputs)
    assert (tmp_path / "map.legend.txt").read_text() == "40 × 30 pixels after /art/the painting.jpg\n"
    assert json.loads(outputs.item.read_text())["assets"]["legend"]["href"] == "map.legend.txt"
