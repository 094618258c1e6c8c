"""Learned styles: how near learning and applying come to the machine, and whether memory grows with the scene."""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.engine import CPU, STYLES, matrix_product, shortest
from benchmarks.scenes import SAMPLES, write_scene
from nst_rs import stylize
from nst_rs.config.named_styles import shipped_folder
from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.learned.architecture import GRAIN_CHANNELS, Architecture, Weights, first_weights
from nst_rs.learned.style_file import Facts, LearnedStyle, Learning, Source
from nst_rs.neural.build import build_kernel, build_objective
from nst_rs.neural.generator import GeneratorNetwork
from nst_rs.neural.trainer import Lesson, Memory, Teacher

ARCHITECTURE = Architecture()
WINDOW = 192
BLOCK = 1024
"""Of large scenes."""
HARVEST, SHIPPED = SAMPLES / "styles" / "harvest.jpg", shipped_folder() / "harvest.style"
SIDES = (2000, 10980)
"""Of the scenes whose memory is measured: 4 and 120 megapixels."""


def against_matrix_product() -> dict[str, float]:
    """A learning step and a block applied, as rates over that of a 4096³ matrix product in float32."""
    product = 2 * 4096**3 / shortest(matrix_product("float32"))
    margin, generator = ARCHITECTURE.margin, np.random.default_rng(0)

    def around(side: int, channels: int) -> np.ndarray:
        return generator.uniform(0, 1, (side + 2 * margin, side + 2 * margin, channels)).astype(np.float32)

    weights = first_weights(ARCHITECTURE, 0)
    network = GeneratorNetwork(ARCHITECTURE, weights, CPU.name)
    block = 255 * around(BLOCK, 3), around(BLOCK, GRAIN_CHANNELS)
    applying = shortest(lambda: network(*block))
    seen, grain = 255 * around(WINDOW, 3)[np.newaxis], around(WINDOW, GRAIN_CHANNELS)[np.newaxis]
    teacher = _teacher(weights)
    lesson = Lesson(seen, grain, seen[:, margin:-margin, margin:-margin])
    learning = shortest(lambda: teacher.step(lesson, 1e-6))
    # Three passes of VGG16, to the picture and back and to the scene, and three of the network.
    config = RunConfig()
    flops = WINDOW**2 * (3 * trunk_of(config).flops_per_pixel + 3 * ARCHITECTURE.flops_per_pixel)
    return {
        "a learning step, seconds": learning,
        "a learning step / matrix product": flops / learning / product,
        "applying, megapixels a second": BLOCK**2 / applying / 1e6,
        "applying / matrix product": BLOCK**2 * ARCHITECTURE.flops_per_pixel / applying / product,
    }


def _teacher(weights: Weights) -> Teacher:
    config = RunConfig.model_validate({"compute": {"precision": "float32"}})
    kernel = build_kernel(config, CPU)
    objective = build_objective(config, kernel, STYLES, 512)
    return Teacher(kernel.encoder, objective, ARCHITECTURE, Memory.beginning(weights))


def memory() -> dict[str, float]:
    """Peak memory of a whole run with a learned style, at 4 and at 120 megapixels, and seconds a megapixel."""
    found, peaks = {}, []
    with tempfile.TemporaryDirectory() as folder:
        scene, style, output = (Path(folder) / name for name in ("scene.tif", "made.style", "map.tif"))
        _style().save(style)
        for side in SIDES:
            write_scene(scene, (side, side))
            command = ["stylize", scene, "--style", style, "--output", output, "--set", "compute.precision=float32"]
            subprocess.run([Path(sys.executable).with_name("nst-rs"), *command], check=True, capture_output=True)
            record = json.loads(output.with_suffix(".run.json").read_text())
            peaks.append(record["peak_memory_bytes"])
            name = f"{side**2 / 1e6:.0f} megapixels"
            found[f"{name}: peak, GB"] = peaks[-1] / 1e9
            found[f"{name}: megapixels a second, files to files"] = side**2 / 1e6 / sum(record["seconds"].values())
    return {**found, "memory of the largest / of the smallest": peaks[-1] / peaks[0]}


def iterations_saved() -> dict[str, float]:
    """One level of the sample scene, from the scene and from the learned picture: iterations to the same total."""
    totals = {}
    with tempfile.TemporaryDirectory() as folder:
        for init in ("content", "learned"):
            settings = {"schedule.levels": 1, "schedule.iterations": 60, "schedule.init": init}
            settings |= {"style.learned": SHIPPED} if init == "learned" else {}
            output = Path(folder) / f"{init}.tif"
            totals[init] = stylize(SAMPLES / "olinda", HARVEST, output, settings=settings).losses
    found = {}
    for iterations in (1, 5, 10, 20, 30):
        total = totals["learned"][iterations - 1]
        reached = [number for number, value in enumerate(totals["content"], start=1) if value <= total]
        found[f"total at iteration {iterations} from the learned picture"] = total
        found[f"total at iteration {iterations}: from the scene as low at iteration"] = min(
            reached, default=float("inf")
        )
    return found


def _style() -> LearnedStyle:
    source = Source(name="none", bytes=0, sha256="")
    facts = Facts(
        widths=ARCHITECTURE.widths,
        blocks=ARCHITECTURE.blocks,
        enlarging=ARCHITECTURE.enlarging,
        normalised=True,
        color="style",
        configuration={},
        metres_per_pixel=30.0,
        styles=(source,),
        scenes=(source,),
        learning=Learning(steps=0, seconds=0.0, loss=0.0),
        versions={"nst-rs": "benchmark"},
    )
    preview = io.BytesIO()
    Image.new("RGB", (4, 4)).save(preview, "png")
    return LearnedStyle(facts, first_weights(ARCHITECTURE, 0), preview.getvalue())
