import numpy as np
import pytest

from nst_rs.arrays import Pixels
from nst_rs.learned.samples import VALID_SHARE, Draw, Rectangle, TrainingScene, draw


def training_scene(kept_out: tuple[Rectangle, ...] = (), empty: slice = slice(0, 0), side: int = 200) -> TrainingScene:
    image = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
    weight = np.ones((side, side), np.float32)
    weight[:, empty] = 0
    return TrainingScene(image, weight, float(weight.mean()), kept_out)


def test_windows_hold_data() -> None:
    generator, scene = np.random.default_rng(0), training_scene(empty=slice(0, 120))
    for _ in range(20):
        box = scene.place(32, generator)
        assert scene.weight[box.rows.slice, box.columns.slice].mean() >= VALID_SHARE


def test_windows_keep_off_what_is_held_out() -> None:
    kept_out = Rectangle.at(50, 50, 100, 100)
    generator, scene = np.random.default_rng(0), training_scene((kept_out,))
    assert not any(scene.place(32, generator).meets(kept_out) for _ in range(50))


@pytest.mark.parametrize("side", [48, 256])
def test_a_lesson_shows_its_scene_with_a_margin(side: int) -> None:
    """Also where the scene is smaller than the window: it is mirrored."""
    seen, grain, scene = draw([training_scene()], Draw(3, side, 12, 4), np.random.default_rng(1))
    assert seen.shape == (3, side + 24, side + 24, 3)
    assert grain.shape == (3, side + 24, side + 24, 2)
    assert scene.shape == (3, side, side, 3)
    assert seen.dtype == scene.dtype == grain.dtype == np.float32
    assert min(seen.min(), scene.min()) >= 0
    assert max(seen.max(), scene.max()) <= 255


def test_windows_come_turned_flipped_stretched_and_noisy() -> None:
    generator = np.random.default_rng(0)
    drawn = [draw([training_scene(side=48)], Draw(1, 48, 4, 4), generator) for _ in range(60)]
    scenes: list[Pixels] = [scene for _, _, scene in drawn]
    assert len({scene.tobytes() for scene in scenes}) > 50
    means = [scene.mean() for scene in scenes]
    assert max(means) - min(means) > 50
    noisy = [bool((seen[:, 4:-4, 4:-4] != scene).any()) for seen, _, scene in drawn]
    assert 10 < sum(noisy) < 50


def test_the_same_seed_draws_the_same_lesson() -> None:
    first, second = (draw([training_scene()], Draw(2, 48, 12, 4), np.random.default_rng(7)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def flat_scene(value: float) -> TrainingScene:
    image = np.full((80, 80, 3), value, np.float32)
    return TrainingScene(image, np.ones((80, 80), np.float32), 1.0)


def test_all_windows_of_a_step_are_of_one_scene_and_appear_alike() -> None:
    """Windows of a flat scene have one colour, whatever the step's contrast, brightness and bands are."""
    generator, scenes = np.random.default_rng(0), [flat_scene(value) for value in (60.0, 120.0, 180.0)]
    shown = [draw(scenes, Draw(4, 32, 8, 4), generator)[2] for _ in range(30)]
    assert all(np.ptp(scene, axis=(0, 1, 2)).max() == 0 for scene in shown)
    assert len({scene.tobytes() for scene in shown}) > 20
