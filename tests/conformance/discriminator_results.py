"""The discriminator's recorded keys, computed with our code: times, blocks, epilogue, logits."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from stylegan_v.networks import ProjectionConditioning
from tests.conformance.fixture import Fixture, outputs, statistics


def time_code_results(conditioning: ProjectionConditioning, t: Tensor) -> dict[str, Tensor]:
    encoder = conditioning.time_encoder
    differences = rearrange(t.diff(dim=1)[:, : encoder.num_differences], "b p -> (b p)")
    embedding = encoder(t)
    codes = rearrange(embedding, "b (p e) -> (b p) e", p=encoder.num_differences)
    width = encoder.const_embed.embedding_dim
    return {
        "diffs": differences,
        "const_embs": codes[:, :width],
        "fourier_embs": codes[:, width:],
        "embedding": embedding,
    }


@torch.no_grad()
def discriminator_results(fixture: Fixture) -> dict[str, Tensor]:
    data, discriminator = fixture.data, fixture.discriminator()
    conditioning, epilogue = discriminator.conditioning, discriminator.epilogue
    c, t = data["d_in/c"], data["d_in/t"]
    watched = {**discriminator.blocks, "conv": epilogue.conv, "fc": epilogue.fc, "out": discriminator.head.out}
    joining: dict[str, Tensor] = {}
    handles = [
        block.register_forward_pre_hook(lambda _m, args, name=name: joining.__setitem__(name, args[0]))
        for name, block in discriminator.blocks.items()
    ]
    handles.append(epilogue.conv.register_forward_pre_hook(lambda _m, args: joining.__setitem__("epilogue", args[0])))
    with outputs(watched) as seen:
        logits = discriminator(fixture.clips(data["d_in/img"]), t, c)
    for handle in handles:
        handle.remove()

    results = {
        "logits": logits,
        "mbstd_channel": joining["epilogue"][:, -1:],
        "epilogue_conv": seen["conv"],
        "epilogue_fc": seen["fc"],
        "epilogue_out_before_projection": seen["out"],
    }
    if conditioning.mapping is not None:
        results |= {"c_with_time": conditioning.condition(t, c), "cmap": conditioning(t, c)}
    if conditioning.time_encoder is not None:
        results |= {f"time/{key}": value for key, value in time_code_results(conditioning, t).items()}
    for name, block_input in joining.items():
        results[f"block{name.removeprefix('b')}/input_channel_means_after_frame_concat"] = block_input.mean(dim=(2, 3))
    for name in discriminator.blocks:
        results |= statistics(f"block{name.removeprefix('b')}", seen[name])
    results = {f"d_out/{key}": value for key, value in results.items()}

    if "d_in_fractional/t" in data:
        t = data["d_in_fractional/t"]
        results["d_out_fractional/logits"] = discriminator(fixture.clips(data["d_in/img"]), t, c)
        results["d_out_fractional/time_embedding"] = conditioning.time_encoder(t)
    return {key: value for key, value in results.items() if key in data}
