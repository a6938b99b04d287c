"""The recorded losses and gradients of each phase, computed with our code."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn

from stylegan_v import losses
from stylegan_v.networks import Generator
from stylegan_v.official import discriminator_names, generator_names
from tests.conformance.fixture import Fixture, frames_of


def gradient_results(phase: str, fixture: Fixture, network: nn.Module, names: Callable) -> dict[str, Tensor]:
    """The recorded gradients of a phase: some whole, all as norm, sum and largest magnitude."""
    table = names(fixture.data.group("G" if names is generator_names else "D"))
    parameters = dict(network.named_parameters())
    gradients = {name: parameters[table[name]].grad for name in fixture.data.json(f"loss_out/{phase}/grad_names_json")}
    absent = {name: torch.zeros_like(parameters[table[name]]) for name, grad in gradients.items() if grad is None}
    gradients |= absent
    rows = [[grad.double().norm(), grad.double().sum(), grad.abs().max().double()] for grad in gradients.values()]
    results = {f"loss_out/{phase}/grad_l2_sum_maxabs": torch.tensor(rows, dtype=torch.float64)}
    prefix = f"loss_out/{phase}/grad/"
    recorded = [key.removeprefix(prefix) for key in fixture.data.keys if key.startswith(prefix)]
    return results | {prefix + name: gradients[name].reshape(fixture.data[prefix + name].shape) for name in recorded}


def fakes(fixture: Fixture, generator: Generator, count: int | None = None) -> tuple[Tensor, Tensor]:
    """Generated clips of the loss part and the styles they came from, in training mode."""
    z, c, t, motion_z = (fixture.data[f"loss_in/gen_{name}"][:count] for name in ("z", "c", "t", "motion_z"))
    ws = generator.mapping(z, c)
    return generator.synthesis(ws, t, c, motion_z, noise_mode="const"), ws


def generator_phase_results(fixture: Fixture) -> dict[str, Tensor]:
    data, generator = fixture.data, fixture.generator().train()
    logits = fixture.discriminator()(fakes(fixture, generator)[0], data["loss_in/gen_t"], data["loss_in/gen_c"])
    losses.generator_loss(logits).backward()
    results = {
        "fake_logits": logits,
        "loss": torch.stack([losses.generator_loss(logit[None]) for logit in logits]),
        "w_avg_after": generator.mapping.w_avg,
    }
    results = {f"loss_out/Gmain/{key}": value for key, value in results.items()}
    return results | gradient_results("Gmain", fixture, generator, generator_names)


def discriminator_phase_results(fixture: Fixture) -> dict[str, Tensor]:
    data, generator, discriminator = fixture.data, fixture.generator().train(), fixture.discriminator().train()
    with torch.no_grad():
        fake = fakes(fixture, generator)[0]
    fake_logits = discriminator(fake, data["loss_in/gen_t"], data["loss_in/gen_c"])
    losses.fake_loss(fake_logits).backward()
    real_logits = discriminator(fixture.clips(data["d_in/img"]), data["d_in/t"], data["d_in/c"])
    losses.real_loss(real_logits).backward()
    parts = {
        "loss_fake_part": torch.stack([losses.fake_loss(logit[None]) for logit in fake_logits]),
        "loss_real_part": torch.stack([losses.real_loss(logit[None]) for logit in real_logits]),
    }
    results = {
        **parts,
        "fake_logits": fake_logits,
        "real_logits": real_logits,
        "loss": parts["loss_fake_part"] + parts["loss_real_part"],
        "w_avg_after": generator.mapping.w_avg,
    }
    results = {f"loss_out/Dmain/{key}": value for key, value in results.items()}
    return results | gradient_results("Dmain", fixture, discriminator, discriminator_names)


def r1_results(fixture: Fixture) -> dict[str, Tensor]:
    data, discriminator = fixture.data, fixture.discriminator().train()
    gamma, gain = data["loss_out/Dreg/r1_gamma"].item(), data["loss_out/Dreg/gain"].item()
    clip = fixture.clips(data["d_in/img"]).requires_grad_()
    logits = discriminator(clip, data["d_in/t"], data["d_in/c"])
    (image_gradient,) = torch.autograd.grad(logits.sum(), clip, retain_graph=True)
    (losses.r1_penalty(logits, clip) * (gamma / 2) * gain).backward()
    per_frame = image_gradient.square().sum(dim=(2, 3, 4))
    count = data["loss_out/Dreg/image_gradient_first_frames"].shape[0]
    results = {
        "r1_gamma": torch.tensor(fixture.config["derived"]["loss_kwargs"]["r1_gamma"]),
        "gain": torch.tensor(16),
        "r1_penalty_per_frame": rearrange(per_frame, "b t -> (b t)"),
        "loss_per_video": per_frame.mean(dim=1) * gamma / 2,
        "image_gradient_first_frames": frames_of(image_gradient)[:count],
    }
    results = {f"loss_out/Dreg/{key}": value for key, value in results.items()}
    return results | gradient_results("Dreg", fixture, discriminator, discriminator_names)


def path_length_results(fixture: Fixture) -> dict[str, Tensor]:
    """Weight 2 and gain 4, on the first video, with the running mean starting at 0."""
    if "loss_in/path_length_noise" not in fixture.data:
        return {}
    generator = fixture.generator().train()
    clip, ws = fakes(fixture, generator, count=1)
    noise = fixture.clips(fixture.data["loss_in/path_length_noise"])
    direction = noise / math.sqrt(clip.shape[-1] * clip.shape[-2])
    (ws_gradient,) = torch.autograd.grad((clip * direction).sum(), ws, retain_graph=True)
    penalty, mean, lengths = losses.path_length_penalty(clip, ws, noise, torch.zeros(()))
    (penalty * 2 * 4).backward()
    results = {
        "ws_gradient": ws_gradient,
        "lengths": lengths,
        "mean_after": mean,
        "penalty": penalty.reshape(1),
    }
    results = {f"loss_out/Greg_path_length/{key}": value for key, value in results.items()}
    return results | gradient_results("Greg_path_length", fixture, generator, generator_names)
