import pytest

from nst_rs.vgg16 import VGG16, Trunk


def test_there_are_the_thirteen_convolutions_of_configuration_d() -> None:
    assert list(VGG16) == [
        *("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3"),
        *("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3"),
    ]


# Receptive fields as published for VGG16 (e.g. Araujo et al., "Computing Receptive Fields", 2019: 212 at pool5, from
# 196 at conv5_3).
@pytest.mark.parametrize(
    ("name", "stride", "receptive_field"),
    [
        ("conv1_1", 1, 3),
        ("conv1_2", 1, 5),
        ("conv3_3", 4, 40),
        ("conv4_2", 8, 76),
        ("conv5_1", 16, 132),
        ("conv5_3", 16, 196),
    ],
)
def test_strides_and_receptive_fields_are_those_published(name: str, stride: int, receptive_field: int) -> None:
    assert (VGG16[name].stride, VGG16[name].receptive_field) == (stride, receptive_field)


def test_a_trunk_ends_at_the_deepest_layer_asked_for() -> None:
    assert [layer.name for layer in Trunk.reaching(["conv2_1", "conv1_1"]).layers] == ["conv1_1", "conv1_2", "conv2_1"]


@pytest.mark.parametrize("name", VGG16)
def test_the_halo_covers_the_radius_in_whole_strides(name: str) -> None:
    trunk = Trunk.reaching([name])
    radius = max(layer.radius for layer in trunk.layers)
    assert trunk.halo % trunk.stride == 0
    assert radius <= trunk.halo < radius + trunk.stride


def test_a_forward_pass_to_conv5_1_at_512_pixels_is_150_gigaflop() -> None:
    # 301 GFLOP for forward and backward together, as counted by an independent prototype.
    assert Trunk.reaching(["conv5_1"]).flops_per_pixel * 512**2 == pytest.approx(150.7e9, rel=1e-3)
