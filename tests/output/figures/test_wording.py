from nst_rs.output.figures.wording import describe

LEGIBILITY = {"1": 1.0, "2": 0.5, "4": None}
SEAMS = {"lines": 3, "result": 1.04, "standard_error": 0.026, "content": 1.1}
FRAME = {"result": 1.1, "content": 1.0}
CALM = {"result": 0.8, "content": 0.1}
SPECKLE = {"result": 2.0, "content": 0.5, "style": 3.0}


def test_all_figures_are_said() -> None:
    figures = {"legibility": LEGIBILITY, "seams": SEAMS, "frame": FRAME, "calm": CALM, "speckle": SPECKLE}
    assert describe(figures) == {
        "legibility": "1.00 at 1, 0.50 at 2, – at 4 pixels",
        "seam ratio": "1.04 ± 0.03 (scene 1.10)",
        "frame ratio": "1.10 (scene 1.00)",
        "calm ratio": "0.80 (scene 0.10)",
        "speckle": "2.00 (scene 0.50, style 3.00)",
    }


def test_a_map_without_seams_has_no_seam_ratio() -> None:
    none = {"lines": 0, "result": None, "standard_error": None, "content": None}
    assert set(describe({"legibility": LEGIBILITY, "seams": none, "frame": FRAME, "calm": CALM})) == {
        "legibility",
        "frame ratio",
        "calm ratio",
    }


def test_figures_that_could_not_be_measured_are_not_said() -> None:
    assert describe({}) == {}
