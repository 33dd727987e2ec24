"""The bodies and the augmentation of pictures: what they give, and what they must not change."""

import pytest
import torch

from lossmith.study.base.errors import InputError
from lossmith.study.folders.augment import augmentation, ways_of
from lossmith.study.folders.bodies import OfPictures, small_network, u_net


@pytest.mark.parametrize("size", [16, 32, 48, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_bodies_take_pictures_of_any_size(size: int, channels: int) -> None:
    pictures = torch.randint(0, 256, (2, channels, size, size), dtype=torch.uint8)
    with torch.no_grad():
        assert OfPictures(small_network(channels, size)(7))(pictures).shape == (2, 7)
        assert OfPictures(u_net(channels)(3))(pictures).shape == (2, 3, size, size)
        assert OfPictures(u_net(channels)(1))(pictures).shape == (2, size, size)


def test_heads_of_different_width_stand_on_the_same_weights() -> None:
    for make in (small_network(3, 32), u_net(3)):
        states = []
        for width in (1, 5):
            torch.manual_seed(0)
            states.append(list(make(width).parameters())[:-2])
        assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))


def test_the_four_pixels_of_an_output_begin_alike() -> None:
    with torch.no_grad():
        drawn = u_net(1)(3)(torch.rand(1, 1, 32, 32))
    assert torch.equal(drawn[..., ::2, ::2], drawn[..., 1::2, 1::2])
    assert not torch.equal(drawn[:, 0], drawn[:, 1])


@pytest.mark.parametrize("ways", [("shift",), ("flip",), ("shift", "flip")])
def test_masks_move_with_their_pictures(ways: tuple[str, ...]) -> None:
    augment = augmentation(ways)
    assert augment is not None
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (32, 1, 16, 16), dtype=torch.uint8)
    moved, masks = augment(pictures, pictures[:, 0].long())
    assert torch.equal(moved[:, 0].long(), masks)
    assert not torch.equal(moved, pictures)


def test_a_flip_is_of_half_the_pictures_left_to_right() -> None:
    augment = augmentation(("flip",))
    assert augment is not None
    torch.manual_seed(0)
    pictures = torch.rand(400, 2, 16, 16)
    moved, classes = augment(pictures, torch.arange(400))
    mirrored = (moved == pictures.flip(3)).all(dim=(1, 2, 3))
    kept = (moved == pictures).all(dim=(1, 2, 3))
    assert bool((mirrored ^ kept).all())
    assert 150 < int(mirrored.sum()) < 250
    assert torch.equal(classes, torch.arange(400))


def test_a_shift_moves_by_up_to_an_eighth_and_mirrors_at_the_edge() -> None:
    augment = augmentation(("shift",))
    assert augment is not None
    torch.manual_seed(0)
    row = torch.arange(16).float()
    moved, _ = augment(row.expand(500, 1, 16, 16), torch.zeros(500))
    ways = {tuple(one[0, 0].tolist()) for one in moved}
    assert len(ways) == 5
    assert (2, 1, 0, *range(1, 14)) in ways
    assert (*range(2, 16), 14, 13) in ways


def test_ways_of_augmentation_are_named() -> None:
    assert ways_of("flip, shift") == ("shift", "flip")
    assert ways_of("none") == ()
    assert augmentation(()) is None
    with pytest.raises(InputError, match="--augment is shift,flip or shift or flip or none, not x"):
        ways_of("x")
