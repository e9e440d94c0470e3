from __future__ import annotations

import pytest
import timm.models
import torch

from regraft.errors import NetworkError, SettingsError
from regraft.networks.adaptation import adapted
from regraft.networks.network import load_network
from regraft.networks.reshaping import with_channels
from regraft.networks.weights.finding import Weights, find_weights
from tests.networks.sample import in_turn

pytestmark = pytest.mark.slow


def logits(weights: Weights, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return load_network(weights).forward(images)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 13])
def test_filters_are_adapted_as_timm_does(channels: int) -> None:
    filters = torch.randn(5, 3, 3, 3)
    assert torch.allclose(with_channels(filters, channels), timm.models.adapt_input_conv(channels, filters))


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "vit_tiny_patch16_224", "googlenet"])
def test_grey_images_give_what_they_gave_in_three_equal_channels(name: str) -> None:
    weights = find_weights(name, weights="random")
    grey = torch.randn(1, 1, 224, 224)
    before = logits(weights, grey.expand(-1, 3, -1, -1))
    assert torch.allclose(logits(adapted(weights, channels=1), grey), before, atol=1e-5)


def test_more_channels_that_are_all_alike_give_what_three_gave() -> None:
    weights = find_weights("lenet5", weights="random")
    grey = torch.randn(1, 1, 32, 32)
    four = adapted(weights, channels=4)
    assert four.input_spec.channels == 4
    assert len(four.input_spec.mean) == 4
    assert torch.allclose(logits(four, grey.expand(-1, 4, -1, -1)), logits(weights, grey), atol=1e-6)


def test_a_convolution_takes_another_size_without_other_weights() -> None:
    weights = find_weights("resnet18", weights="random")
    smaller = adapted(weights, size_px=160)
    assert (smaller.path, smaller.input_spec.size_px) == (weights.path, 160)
    assert adapted(weights) == weights


@pytest.mark.parametrize("name", in_turn(["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"], 1))
def test_position_embeddings_are_interpolated(name: str) -> None:
    weights = find_weights(name, weights="random")
    smaller = adapted(weights, size_px=128)
    assert smaller.sha256 != weights.sha256
    assert logits(smaller, torch.randn(1, 3, 128, 128)).shape == (1, 1000)


def test_the_embedding_of_tokens_is_resampled_as_timm_does() -> None:
    weights = find_weights("vit_tiny_patch16_224", weights="random")
    old = load_network(weights).module.pos_embed
    new = load_network(adapted(weights, size_px=112)).module.pos_embed
    expected = timm.layers.resample_abs_pos_embed(old, (7, 7), num_prefix_tokens=1)  # type: ignore[attr-defined]
    assert torch.allclose(new, expected)  # type: ignore[arg-type]


def test_impossible_sizes_say_the_smallest() -> None:
    with pytest.raises(NetworkError, match=r"of 16 px with 3 channels; its smallest size is 24 px"):
        adapted(find_weights("squeezenet1_1", weights="random"), size_px=16)


def test_impossible_channels_say_what_is_accepted() -> None:
    with pytest.raises(SettingsError, match=r"channels 17: .*less than or equal to 16"):
        adapted(find_weights("lenet5"), channels=17)
    with pytest.raises(SettingsError, match=r"channels 0: .*greater than or equal to 1"):
        adapted(find_weights("lenet5"), channels=0)
