"""A small learned style, made without learning, to test with."""

import io
from typing import Any

import numpy as np
from PIL import Image

from nst_rs.config.sections import Color
from nst_rs.learned.architecture import Architecture, first_weights
from nst_rs.learned.style_file import Facts, LearnedStyle, Learning, Source, rounded


def small_style(color: Color = "style", normalised: bool = False, seed: int = 3, **network: Any) -> LearnedStyle:
    """Return a style with random weights, which changes every pixel."""
    architecture = Architecture((4, 8, 8), 1, **network)
    generator = np.random.default_rng(seed)
    weights = first_weights(architecture, seed=2)
    weights["last.kernel"] = generator.normal(0, 0.05, architecture.shapes["last.kernel"]).astype(np.float32)
    source = Source(name="painting.jpg", bytes=3, sha256="00")
    facts = Facts(
        widths=architecture.widths,
        blocks=architecture.blocks,
        deep_blocks=architecture.deep_blocks,
        enlarging=architecture.enlarging,
        normalised=normalised,
        color=color,
        configuration={},
        metres_per_pixel=30.0,
        styles=(source,),
        scenes=(source,),
        learning=Learning(steps=1, seconds=1.0, loss=1.0),
        versions={"nst-rs": "0"},
        licence="CC0-1.0",
    )
    preview = io.BytesIO()
    Image.new("RGB", (4, 4)).save(preview, "png")
    return LearnedStyle(facts, rounded(weights), preview.getvalue())
