"""The recorded updates, computed with our code."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from stylegan_v import losses
from stylegan_v.official import discriminator_names, generator_names
from tests.conformance.fixture import Fixture


def adam(network: nn.Module, settings: dict, interval: int) -> torch.optim.Adam:
    """Adam with the correction for regularising only every ``interval`` updates."""
    ratio = interval / (interval + 1)
    betas = tuple(float(beta) ** ratio for beta in settings["betas"])
    return torch.optim.Adam(network.parameters(), lr=settings["lr"] * ratio, betas=betas, eps=settings["eps"])


def training_results(fixture: Fixture) -> dict[str, Tensor]:
    """The recorded updates: generator, discriminator, R1 in the first update only, moving average."""
    data = fixture.data
    if "train_in/gen_z" not in data:
        return {}
    derived = fixture.config["derived"]
    generator, discriminator = fixture.generator().train(), fixture.discriminator().train()
    generator_ema = copy.deepcopy(generator)
    g_opt, d_opt = adam(generator, derived["G_opt_kwargs"], 4), adam(discriminator, derived["D_opt_kwargs"], 16)
    gen_c, gen_t, c, t = (data[key] for key in ("loss_in/gen_c", "loss_in/gen_t", "d_in/c", "d_in/t"))
    rows: dict[str, list[Tensor]] = {name: [] for name in ("G_loss", "D_loss", "D_reg", "scores_real", "scores_fake")}

    for update, (z, motion_z, real) in enumerate(
        zip(data["train_in/gen_z"], data["train_in/gen_motion_z"], data["train_in/real_img"], strict=True)
    ):
        # Generator.
        g_opt.zero_grad()
        logits = discriminator(generator(z[0], gen_t, gen_c, motion_z[0], noise_mode="const"), gen_t, gen_c)
        losses.generator_loss(logits).backward()
        g_opt.step()
        rows["G_loss"].append(nn.functional.softplus(-logits.detach()))

        # Discriminator; the second of the four phases has nothing to do.
        d_opt.zero_grad()
        with torch.no_grad():
            fake = generator(z[2], gen_t, gen_c, motion_z[2], noise_mode="const")
        fake_logits = discriminator(fake, gen_t, gen_c)
        real_logits = discriminator(real, t, c)
        losses.discriminator_loss(real_logits, fake_logits).backward()
        d_opt.step()
        rows["scores_fake"].append(fake_logits.detach())
        rows["scores_real"].append(real_logits.detach())
        rows["D_loss"].append((nn.functional.softplus(fake_logits) + nn.functional.softplus(-real_logits)).detach())

        # R1.
        rows["D_reg"].append(torch.full_like(logits.detach(), math.nan))
        if update == 0:
            d_opt.zero_grad()
            clip = real.clone().requires_grad_()
            real_logits = discriminator(clip, t, c)
            (gradient,) = torch.autograd.grad(real_logits.sum(), clip, create_graph=True)
            per_video = gradient.square().sum(dim=(2, 3, 4)).mean(dim=1) * (derived["loss_kwargs"]["r1_gamma"] / 2)
            (per_video.mean() * 16).backward()
            for parameter in discriminator.parameters():
                # The original keeps the logits in the loss, times zero: Adam sees a zero gradient, not none.
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            d_opt.step()
            rows["D_reg"][-1] = per_video.detach()
            rows["scores_real"][-1] = real_logits.detach()  # reported again by this phase

        # Moving average: parameters drawn towards the generator's, buffers copied.
        with torch.no_grad():
            for average, parameter in zip(generator_ema.parameters(), generator.parameters(), strict=True):
                average.copy_(parameter.lerp(average, data["train_in/ema_beta"].item()))
            for average, buffer in zip(generator_ema.buffers(), generator.buffers(), strict=True):
                average.copy_(buffer)

    results = {f"train_out/{name}": torch.stack(values) for name, values in rows.items()}
    networks = {"G": generator, "D": discriminator, "G_ema": generator_ema}
    for name, network in networks.items():
        table = (discriminator_names if name == "D" else generator_names)(data.group(name.removesuffix("_ema")))
        state = network.state_dict()
        chosen = data.json(f"train_out/{name}_param_names_json")
        sums = [[state[table[key]].double().norm(), state[table[key]].double().sum()] for key in chosen]
        results[f"train_out/{name}_param_l2_sum"] = torch.tensor(sums, dtype=torch.float64)
        for key in data.group(f"train_out/{name}"):
            results[f"train_out/{name}/{key}"] = state[table[key]]
    return results
