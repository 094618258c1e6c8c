"""Terms besides content and style go with a run through its record, its report and its comparison with others."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nst_rs.config.loading import load_config, override
from nst_rs.errors import ConfigError
from nst_rs.objective.terms import registry
from nst_rs.output.files import Outputs
from nst_rs.runs import session
from nst_rs.runs.prepare import prepare
from nst_rs.runs.several.comparison import Run, rows, write_comparison
from tests.toy_terms import WITH_TOYS

FURTHER = {"objective.variation": 1e-4, "objective.terms": {"darkness": 1e-5, "energy": 1e-6}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, olinda: Path, harvest: Path, quick: dict[str, Any]) -> list[Run]:
    """A run with all terms that there are, and after it one with content and style alone; both are short."""
    folder = tmp_path_factory.mktemp("compared")
    settings = {**quick, "schedule.levels": 1, "schedule.iterations": 3, "scene.paths": [olinda / "olinda_r0_c0.tif"]}
    runs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "TERMS", WITH_TOYS)
        for name, further in (("all", FURTHER), ("plain", {})):
            output = {"style.images": {harvest: 1}, "output.path": folder / f"{name}.tif"}
            session.run(prepare(override(load_config(None), {**settings, **output, **further})))
            runs.append(Run(name, Outputs(folder / f"{name}.tif")))
    return runs


def test_the_record_has_every_term_of_the_run(made: list[Run]) -> None:
    (level,) = made[0].record["levels"]
    assert list(level["losses"]) == ["total", "content", "style", "variation", "darkness", "energy"]
    assert [term["name"] for term in level["terms"]] == ["content", "style", "variation", "darkness", "energy"]
    shares = [term["share"] for term in level["terms"]]
    assert level["losses"]["total"] == pytest.approx([sum(each) for each in zip(*shares, strict=True)], rel=1e-12)
    assert level["losses"]["darkness"][-1] < level["losses"]["darkness"][0]
    (level,) = made[1].record["levels"]
    assert list(level["losses"]) == ["total", "content", "style"]


def test_the_report_draws_and_explains_every_term_of_the_run(made: list[Run]) -> None:
    page = made[0].outputs.report.read_text()
    for name in ("total", "content", "style", "variation", "darkness", "energy"):
        assert f'<polyline class="{name}"' in page
    assert "feature energy: strength of the features" in page
    assert "energy" not in made[1].outputs.report.read_text().split("Losses by level")[1].split("</section>")[0]


def test_runs_that_start_from_different_pictures_compare(made: list[Run], tmp_path: Path) -> None:
    record = json.loads(made[1].outputs.record.read_text())
    record["configuration"]["schedule"]["init"] = "/maps/start.tif"
    start = {"path": "/maps/start.tif", "bytes": 3, "sha256": "ab" * 32}
    outputs = Outputs(tmp_path / "begun.tif")
    outputs.record.write_text(json.dumps({**record, "inputs": [start, *record["inputs"]]}))
    assert Run("begun", outputs).yardstick == made[1].yardstick
    outputs.record.write_text(json.dumps({**record, "inputs": [{**start, "path": "/scene.tif"}, *record["inputs"]]}))
    assert Run("begun", outputs).yardstick != made[1].yardstick


def width(picture: Path) -> int:
    with Image.open(picture) as opened:
        return opened.width


@pytest.mark.usefixtures("toy_terms")
def test_the_comparison_has_a_column_and_a_panel_for_every_term_of_any_run(made: list[Run], tmp_path: Path) -> None:
    sheet, losses, table = write_comparison(made, tmp_path)
    with table.open(encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert list(first) == [
        *("run", "alpha", "beta", "variation weight", "darkness weight", "energy weight", "epochs"),
        *("content", "content change", "style", "style change", "variation", "variation change"),
        *("darkness", "darkness change", "energy", "energy change", "total"),
    ]
    recorded = made[0].record["levels"][0]["losses"]["darkness"]
    assert float(first["darkness"]) == pytest.approx(recorded[-1], rel=1e-3)
    assert float(first["darkness weight"]) == 1e-5
    assert (second["darkness"], second["darkness weight"], second["darkness change"]) == ("", "", "")
    assert second["style change"] != ""
    alone = tmp_path / "alone"
    alone.mkdir()
    # A panel for the total and one for each term, all of one width.
    assert width(losses) / 6 == width(write_comparison(made[1:], alone)[1]) / 3
    assert sheet.is_file()
    assert "darkness 1e-05" in made[0].label
    assert made[1].label.endswith("α 0.2, β 1, 3 epochs")


@pytest.mark.usefixtures("toy_terms")
def test_records_from_before_the_terms_were_listed_are_compared_as_they_were(made: list[Run], tmp_path: Path) -> None:
    record = json.loads(made[0].outputs.record.read_text())
    del record["configuration"]["objective"]["terms"]
    for level in record["levels"]:
        del level["terms"]
        level["losses"] = {name: level["losses"][name] for name in ("total", "content", "style")}
    outputs = Outputs(tmp_path / "older.tif")
    outputs.record.write_text(json.dumps(record))
    (older,) = rows([Run("older", outputs)])
    first = rows(made)[0]
    assert older == {**{key: first[key] for key in older}, "run": "older"}
    assert list(older) == [
        *("run", "alpha", "beta", "epochs", "content", "content change", "style", "style change", "total"),
    ]


def test_an_unknown_term_is_refused_before_anything_is_computed(
    olinda: Path, harvest: Path, quick: dict[str, Any], tmp_path: Path
) -> None:
    files = {"scene.paths": [olinda], "style.images": {harvest: 1}, "output.path": tmp_path / "map.tif"}
    config = override(load_config(None), {**quick, **files, "objective.terms": {"darkness": 1.0}})
    with pytest.raises(ConfigError, match=r"objective\.terms\.darkness: expected"):
        prepare(config)
    assert list(tmp_path.iterdir()) == []
