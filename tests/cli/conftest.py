from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def centre(olinda: Path) -> Path:
    """The middle of the sample scene: 128 × 128 pixels."""
    return olinda.with_name("olinda_centre.tif")
