"""The generator's recorded keys, computed with our code: every stage of motion, styles, blocks, images."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from stylegan_v.networks import MotionEncoder
from stylegan_v.networks.motion import locate
from tests.conformance.fixture import Fixture, frames_of, outputs, statistics


def motion_results(motion: MotionEncoder, t: Tensor, c: Tensor, motion_z: Tensor) -> dict[str, Tensor]:
    """Every stage from motion noise to embedding, by the recordings' names."""
    num_codes = motion.num_codes(t)
    codes = motion.trajectory(motion_z[: len(t), :num_codes], c)
    segments, time = locate(t, motion.distance), motion.time_encoder
    left, right = (
        codes.gather(1, index.unsqueeze(2).expand(-1, -1, codes.shape[2]))
        for index in (segments.index, segments.index + 1)
    )
    weight = segments.weight.unsqueeze(2)
    flat_left, flat_right, flat_weight = (rearrange(x, "b t d -> (b t) d") for x in (left, right, weight))
    speed = 1 + time.periods_predictor(flat_left).tanh()
    phase = time.phase_predictor(flat_left)
    scaled = phase * time.phase_scales
    at_left, at_right = (time.encode(x, speed, scaled) for x in (segments.t_left, segments.t_right))
    aligners = [time.aligners_predictor(x) for x in (flat_left, flat_right)]
    return {
        "traj_len": torch.tensor(num_codes),
        "motion/trajs": codes,
        "motion/left_idx": segments.index,
        "motion/motion_u_left": left,
        "motion/motion_u_right": right,
        "motion/t_left": segments.t_left,
        "motion/t_right": segments.t_right,
        "motion/interp_weights": weight,
        "motion/motion_u": torch.lerp(flat_left, flat_right, flat_weight),
        "time/periods": speed,
        "time/phases": phase,
        "time/raw_pos_embs": time.angle(t, speed, scaled),
        "time/pos_embs": time.encode(t, speed, scaled),
        "time/pos_embs_left": at_left,
        "time/pos_embs_right": at_right,
        "time/aligners_left": aligners[0],
        "time/aligners_right": aligners[1],
        "time/aligners_remove": torch.lerp(at_left, at_right, flat_weight),
        "time/aligners_add": torch.lerp(aligners[0], aligners[1], flat_weight),
        "motion_v": rearrange(motion(t, c, motion_z), "b t v -> (b t) v"),
    }


@torch.no_grad()
def generator_results(fixture: Fixture) -> dict[str, Tensor]:
    data, generator = fixture.data, fixture.generator()
    z, c, t, motion_z = (data[f"g_in/{name}"] for name in ("z", "c", "t", "motion_z"))
    results = {"num_ws": torch.tensor(generator.num_ws), "ws": generator.mapping(z, c)[:, 0]}
    results["ws_psi0.7"] = generator.mapping(z, c, truncation_psi=0.7)[:, 0]
    if isinstance(generator.synthesis.motion, MotionEncoder):
        results |= motion_results(generator.synthesis.motion, t, c, motion_z)

    # Images, and what each block adds.
    with outputs(dict(generator.synthesis.blocks.items())) as seen:
        results["img"] = frames_of(generator(z, t, c, motion_z))
    for name, (x, rgb) in seen.items():
        block = f"block{name.removeprefix('b')}"
        results |= {**statistics(block, x), f"{block}/img": rgb}

    # Truncation.
    truncated = frames_of(generator(z, t, c, motion_z, truncation_psi=0.7))
    results["img_psi0.7_first_frames"] = truncated[: data["g_out/img_psi0.7_first_frames"].shape[0]]
    if "g_out/ws_psi0.5_cutoff" in data:
        settings = {"truncation_psi": 0.5, "truncation_cutoff": fixture.config["truncation_cutoff"]}
        results["ws_psi0.5_cutoff"] = generator.mapping(z, c, **settings)
        results["img_psi0.5_cutoff_first_frame"] = frames_of(generator(z, t, c, motion_z, **settings))[:1]

    generator.train().mapping(z, c)
    results["w_avg_after_train_forward"] = generator.mapping.w_avg
    return {f"g_out/{key}": value for key, value in results.items() if f"g_out/{key}" in data}


@torch.no_grad()
def long_results(fixture: Fixture) -> dict[str, Tensor]:
    data, motion = fixture.data, fixture.generator().synthesis.motion
    stages = motion_results(motion, *(data[f"g_long_in/{name}"] for name in ("t", "c", "motion_z")))
    results = {f"g_long_out/{key.split('/')[-1]}": value for key, value in stages.items()}
    return {key: value for key, value in results.items() if key in data}
