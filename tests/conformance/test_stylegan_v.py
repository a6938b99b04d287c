"""Our networks, losses and training step against the numbers recorded from the original StyleGAN-V.

Every setting, size and seed comes from the files, so another set of recordings passes the same tests. Each function
``..._results`` computes a group of recorded keys with our code; `test_every_recorded_key_is_compared` sees to it that
no key is left out.
"""

from __future__ import annotations

import copy
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from stylegan_v import losses
from stylegan_v.checkpoints import build
from stylegan_v.networks import Discriminator, Generator, MotionEncoder, ProjectionConditioning
from stylegan_v.networks.conditioning import distance_frequencies
from stylegan_v.networks.motion import AcyclicEncoding, locate
from stylegan_v.official import build_discriminator, build_generator, discriminator_names, generator_names
from stylegan_v.official.__main__ import main as official
from stylegan_v.official.conversion import network_settings
from stylegan_v.official.names import to_ours
from stylegan_v.official.networks import discriminator_node, generator_node
from stylegan_v.official.state_file import write_state
from stylegan_v.pretrained import load_generator
from stylegan_v.weights import Weights, read_weights
from tests.conformance.recordings import Recording, assert_matches, files, folder, relative_error

# A few times what float32 against float64 differs in the original, by kind; keys relative to their largest value.
TOLERANCE = {
    "g_out/ws": 1e-6,
    "g_out/w_avg": 5e-7,
    "g_out/motion/": 2e-6,
    "g_out/time/periods": 2e-6,
    "g_out/time/phases": 2e-6,
    "g_out/time/raw_pos_embs": 2e-6,
    "g_out/time/": 3e-4,
    "g_out/motion_v": 1e-4,
    "g_out/": 3e-5,
    "g_long_out/": 1.5e-3,
    "d_out/time/": 1e-4,
    "d_out/logits": 1e-4,
    "d_out/c_with_time": 1e-4,
    "d_out/": 4e-6,
    "d_out_fractional/": 1e-4,
    "loss_out/Dreg/image_gradient": 2e-5,
    "loss_out/Greg_path_length/ws_gradient": 2e-5,
    **{f"loss_out/{phase}/grad": 3e-3 for phase in ("Gmain", "Dmain", "Dreg", "Greg_path_length")},
    "loss_out/": 1e-4,
    "train_out/": 2e-4,
}
RECORDINGS = files("stylegan_v", "config_json")
# Several channel tables make the same channels where they are cut off.
CUT_OFF = {"g_channel_base", "g_channel_max", "d_channel_base", "d_channel_max"}


# Networks built from the recorded tensors, or after these went out as a state file of the original, back in, and
# through a folder of ours.
ROUTES = ("tensors", "files")


class Fixture:
    """A recording, its settings, and freshly built networks."""

    def __init__(self, path: Path, route: str) -> None:
        self.data = Recording(path)
        self.config = self.data.json("config_json")
        self.num_frames = self.config["num_frames_per_video"]
        kwargs = {net: self.config["derived"][f"{net}_kwargs"] for net in ("G", "D")}
        tree = {"config": self.config, "sampling": self.config["sampling"], **kwargs}
        joined = network_settings(self.data.group("G"), self.data.group("D"), tree, {})
        self.settings = {name: setting.value for name, setting in joined.items()}
        self.sources = {name: setting.source for name, setting in joined.items()}
        self.weights = self.through_files() if route == "files" else None

    def generator(self) -> Generator:
        if self.weights is None:
            return build_generator(self.settings, self.data.group("G"))
        return self.built("generator")

    def discriminator(self) -> Discriminator:
        if self.weights is None:
            return build_discriminator(self.settings, self.data.group("D"))
        return self.built("discriminator")

    def built(self, name: str) -> nn.Module:
        """A network from the folder of ours."""
        network = build(self.weights.model["init_args"][name])
        network.load_state_dict(self.weights.networks[name])
        return network.eval()

    def through_files(self) -> Weights:
        states = {"generator": to_ours(self.data.group("G")), "discriminator": to_ours(self.data.group("D"))}
        nodes = {"generator": generator_node(self.settings), "discriminator": discriminator_node(self.settings)}
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder) / "state.safetensors"
            states["generator_ema"] = states["generator"]
            write_state(state, Weights(state, "model", states, {"init_args": nodes}, {}))
            official([str(state), f"{folder}/model"])
            return read_weights(f"{folder}/model")

    def clips(self, frames: Tensor) -> Tensor:
        return rearrange(frames, "(b t) c h w -> b t c h w", t=self.num_frames)


@lru_cache(maxsize=1)
def load(path: Path, route: str = "tensors") -> Fixture:
    return Fixture(path, route)


@contextmanager
def outputs(modules: dict[str, nn.Module]) -> Iterator[dict[str, object]]:
    """What each module returns while the context lasts."""
    seen: dict[str, object] = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
        for name, module in modules.items()
    ]
    yield seen
    for handle in handles:
        handle.remove()


def frames_of(clip: Tensor) -> Tensor:
    return rearrange(clip, "b t c h w -> (b t) c h w")


def statistics(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}/x_mean": x.mean(dim=(2, 3)),
        f"{name}/x_std": x.std(dim=(2, 3), unbiased=False),
        f"{name}/x_first_last": x[[0, -1]],
    }


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


GROUPS = {
    "generator": generator_results,
    "long times": long_results,
    "discriminator": discriminator_results,
    "generator phase": generator_phase_results,
    "discriminator phase": discriminator_phase_results,
    "R1": r1_results,
    "path length": path_length_results,
    "training": training_results,
}
PART = {"path length": "loss_in/path_length_noise", "training": "train_in/gen_z"}


@lru_cache(maxsize=len(GROUPS))
def results(path: Path, group: str, route: str = "tensors") -> dict[str, Tensor]:
    return GROUPS[group](load(path, route))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("path", RECORDINGS)
def test_results_equal_the_recorded_ones(path: Path, route: str, group: str) -> None:
    if PART.get(group, "config_json") not in load(path, route).data:
        pytest.skip(f"{path.name} has no recording of {group}")
    assert_matches(results(path, group, route), load(path, route).data, TOLERANCE)


@pytest.mark.parametrize("path", RECORDINGS)
def test_every_recorded_key_is_compared(path: Path) -> None:
    recorded = {key for key in load(path).data.keys if "_out" in key.split("/")[0] and not key.endswith("_json")}
    compared = set().union(*(results(path, group) for group in GROUPS))
    assert sorted(recorded - compared) == []


@pytest.mark.parametrize("path", RECORDINGS)
def test_parameters_and_buffers_are_the_recorded_ones(path: Path) -> None:
    fixture = load(path)
    for prefix, network, names in (
        ("G", fixture.generator(), generator_names),
        ("D", fixture.discriminator(), discriminator_names),
    ):
        table = names(fixture.data.group(prefix))
        assert {table[name] for name in fixture.data.json(f"{prefix}_parameter_names_json")} == {
            name for name, _ in network.named_parameters()
        }
        buffers = [table[name] for name in fixture.data.json(f"{prefix}_buffer_names_json") if name in table]
        assert set(buffers) == {name for name, _ in network.named_buffers()}
        assert len(set(table.values())) == len(table)


@pytest.mark.parametrize("path", RECORDINGS)
def test_only_the_needed_motion_noise_has_an_influence(path: Path) -> None:
    fixture = load(path)
    generator = fixture.generator()
    z, c, t, motion_z = (fixture.data[f"g_in/{name}"] for name in ("z", "c", "t", "motion_z"))
    used = motion_z[: len(z), : int(fixture.data["g_out/traj_len"])]
    with torch.no_grad():
        error = relative_error(generator(z, t, c, used), generator(z, t, c, motion_z))
    assert error < 1e-5


@pytest.mark.parametrize("path", RECORDINGS)
def test_frequency_tables_are_the_recorded_ones(path: Path) -> None:
    """The networks above take these constants from the file; here they are what our code computes."""
    fixture = load(path)
    time_enc = fixture.config["model"]["generator"]["time_enc"]
    horizon = fixture.config["model"]["discriminator"]["sampling"]["max_num_frames"]
    encoding = AcyclicEncoding(8, time_enc["dim"], time_enc["min_period_len"], time_enc["max_period_len"])
    state = fixture.data.group("G")
    prefix = "synthesis.motion_encoder.time_encoder"
    assert relative_error(encoding.freqs, state[f"{prefix}.freqs"]) < 1e-6
    assert relative_error(encoding.phase_scales, state[f"{prefix}.phase_scales"]) < 1e-6
    recorded = fixture.data.group("D")["time_encoder.time_encoder.fourier_coefs"]
    assert relative_error(distance_frequencies(horizon), recorded) < 1e-6


def _official_256() -> list:
    path = folder("stylegan_v") / "official_256_parameters.json"
    if path.exists():
        return [pytest.param(path, id=path.stem)]
    return [pytest.param(None, id="official_256", marks=pytest.mark.skip(reason=f"the set has no {path.name}"))]


@pytest.mark.parametrize("path", _official_256())
def test_full_size_networks_have_the_recorded_tensors(path: Path) -> None:
    recorded = json.loads(path.read_text())
    setting = recorded["setting"]
    with torch.device("meta"):
        generator = Generator(setting["resolution"], c_dim=setting["c_dim"])
        conditioning = ProjectionConditioning(setting["num_frames_per_video"], setting["c_dim"])
        discriminator = Discriminator(setting["resolution"], conditioning=conditioning)
    for network, rows, names in (
        (generator, recorded["G"], generator_names),
        (discriminator, recorded["D"], discriminator_names),
    ):
        table = names({row["name"]: None for row in rows})
        state, parameters = network.state_dict(), dict(network.named_parameters())
        assert set(table.values()) == set(state)
        for row in rows:
            if row["name"] in table:
                assert list(state[table[row["name"]]].shape) == row["shape"], row["name"]
                assert (table[row["name"]] in parameters) == (row["kind"] == "parameter"), row["name"]
    assert sum(p.numel() for p in generator.parameters()) == recorded["totals"]["G"]["parameters"]
    assert sum(p.numel() for p in discriminator.parameters()) == recorded["totals"]["D"]["parameters"]
    assert generator.num_ws == recorded["num_ws"]


@pytest.mark.parametrize("path", RECORDINGS)
def test_settings_that_tensors_tell_are_the_recorded_ones(path: Path) -> None:
    """Without what the recording says of its settings; the rest of them is assumed, and said to be."""
    fixture = load(path)
    joined = network_settings(fixture.data.group("G"), fixture.data.group("D"), {}, {})
    told = {name for name, setting in joined.items() if setting.source == "tensors"}
    assert told >= {name for name, source in fixture.sources.items() if source == "tensors"} - CUT_OFF
    for name in told - CUT_OFF:
        assert joined[name].value == fixture.settings[name], name
    assert {"motion_z_distance", "g_conv_clamp", "d_conv_clamp", "mbstd_group_size"} & told == set()


@pytest.mark.parametrize("path", files("stylegan_v", "d_logits"))
def test_snapshot_in_a_folder_of_ours_gives_its_images_and_logits(path: Path, tmp_path: Path) -> None:
    data, folder = Recording(path), tmp_path / "model"
    official([str(path.with_name(path.name.replace("_expected.npz", ".pkl"))), str(folder)])
    generator, weights = load_generator(folder), read_weights(folder)
    discriminator = build(weights.model["init_args"]["discriminator"]).eval()
    discriminator.load_state_dict(weights.networks["discriminator"])
    for network, recorded in (("generator", "G"), ("generator_ema", "G_ema"), ("discriminator", "D")):
        expected = to_ours(data.group(f"state/{recorded}"))
        assert expected.keys() == weights.networks[network].keys()
        assert all(torch.equal(weights.networks[network][name], tensor) for name, tensor in expected.items())
    with torch.no_grad():
        clip = generator(data["z"], data["t"], None, data["motion_z"])
        logits = discriminator(rearrange(data["img"], "(b t) c h w -> b t c h w", b=len(clip)), data["d_t"])
    assert generator.synthesis.motion.num_codes(data["t"]) == data["motion_z"].shape[1]
    assert relative_error(frames_of(clip), data["img"]) < TOLERANCE["g_out/"]
    assert relative_error(logits, data["d_logits"]) < TOLERANCE["d_out/logits"]
