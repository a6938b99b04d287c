from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from stylegan_v.metrics.detectors.videomae_encoder import (
    GIANT,
    Attention,
    Patches,
    Sizes,
    VideoMaeEncoder,
    positions_for,
    sinusoids,
)

TINY = Sizes(
    width=12, depth=2, num_heads=3, hidden=20, patch=4, image=8, num_frames=8, frames_per_slot=2, num_classes=5
)


def with_random_weights(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=generator)
    return module.requires_grad_(False)


def test_sinusoids_are_sines_and_cosines_of_falling_rates() -> None:
    table = sinusoids(5, 6)
    for place in range(5):
        for channel in range(6):
            angle = place / 10_000 ** (2 * (channel // 2) / 6)
            expected = math.cos(angle) if channel % 2 else math.sin(angle)
            assert table[place, channel].item() == pytest.approx(expected, abs=1e-6)


def test_positions_of_the_own_number_of_frames_are_the_table() -> None:
    assert torch.equal(positions_for(TINY, 8)[0], sinusoids(16, 12))
    assert torch.equal(positions_for(TINY, 9), positions_for(TINY, 8))  # the last frame has no slot


@pytest.mark.parametrize("num_frames", [2, 4, 12, 40])
def test_positions_of_other_numbers_are_read_between_the_slots(num_frames: int) -> None:
    """Slot i is read at (i + 1/2) / scale - 1/2, the scale being (slots + 0.1) / 4, and held at the ends."""
    slots = num_frames // 2
    table = sinusoids(16, 12).view(4, 4, 12)  # slots, places, channels
    found = positions_for(TINY, num_frames).view(slots, 4, 12)
    for slot in range(slots):
        where = max((slot + 0.5) * 4 / (slots + 0.1) - 0.5, 0)
        low = min(int(where), 3)
        share = where - low
        expected = (1 - share) * table[low] + share * table[min(low + 1, 3)]
        torch.testing.assert_close(found[slot], expected, atol=1e-5, rtol=0)


def test_tokens_are_linear_maps_of_patches_in_the_order_t_y_x() -> None:
    patches = with_random_weights(Patches(TINY))
    clip = torch.rand(1, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    tokens = patches(clip)
    assert tokens.shape == (1, 8, 12)
    pixels = clip[0, :, 2:4, 0:4, 4:8]  # second slot, first row, second column: token 4 + 0 + 1
    expected = (patches.proj.weight * pixels).sum(dim=(1, 2, 3, 4)) + patches.proj.bias
    torch.testing.assert_close(tokens[0, 5], expected)


def naive_attention(layer: Attention, x: Tensor) -> Tensor:
    width = x.shape[1]
    size = width // layer.num_heads
    query, key, value = (x @ layer.qkv.weight[i * width : (i + 1) * width].T for i in range(3))
    query, value = query + layer.q_bias, value + layer.v_bias
    mixed = []
    for head in range(layer.num_heads):
        part = slice(head * size, (head + 1) * size)
        chances = (query[:, part] @ key[:, part].T / size**0.5).softmax(dim=1)
        mixed.append(chances @ value[:, part])
    return torch.cat(mixed, dim=1) @ layer.proj.weight.T + layer.proj.bias


def test_attention_equals_the_textbook_with_no_bias_of_keys() -> None:
    layer = with_random_weights(Attention(12, 3))
    x = torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(1))
    expected = torch.stack([naive_attention(layer, clip) for clip in x])
    torch.testing.assert_close(layer(x), expected, atol=1e-4, rtol=1e-4)


def test_without_blocks_features_are_the_normalised_mean_of_tokens_and_positions() -> None:
    encoder = with_random_weights(VideoMaeEncoder(TINY))
    for block in encoder.blocks:
        nn.init.zeros_(block.attn.proj.weight), nn.init.zeros_(block.attn.proj.bias)
        nn.init.zeros_(block.mlp.fc2.weight), nn.init.zeros_(block.mlp.fc2.bias)
    clips = torch.rand(2, 8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    positions = positions_for(TINY, 8)
    mean = (encoder.patch_embed(clips.transpose(1, 2)) + positions).mean(dim=1)
    spread = (mean.var(dim=1, correction=0, keepdim=True) + 1e-6).sqrt()
    expected = (mean - mean.mean(dim=1, keepdim=True)) / spread * encoder.fc_norm.weight + encoder.fc_norm.bias
    torch.testing.assert_close(encoder(clips, positions), expected, atol=1e-5, rtol=1e-5)


def test_the_giant_one_has_the_names_and_the_number_of_parameters_of_the_published_one() -> None:
    with torch.device("meta"):
        state = VideoMaeEncoder(GIANT).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 1_011_855_918  # counted in cd-fvd's own network
    assert len(state) == 2 + 40 * 13 + 2 + 2
    assert state["patch_embed.proj.weight"].shape == (1408, 3, 2, 14, 14)
    assert state["blocks.39.attn.qkv.weight"].shape == (4224, 1408) and "blocks.39.attn.qkv.bias" not in state
    assert state["blocks.0.mlp.fc1.weight"].shape == (6144, 1408)
    assert state["blocks.0.attn.q_bias"].shape == state["blocks.0.attn.v_bias"].shape == (1408,)
    assert state["head.weight"].shape == (174, 1408)
