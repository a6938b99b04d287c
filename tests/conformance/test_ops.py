"""Single operations against those recorded from the original; every example of every file with ``params_json``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stylegan_v.networks.conditioning import distance_frequencies
from stylegan_v.networks.layers import EqualizedConv1d, EqualizedLinear, minibatch_std, normalize_second_moment
from stylegan_v.networks.time_encoding import time_frequencies
from stylegan_v.ops.bias_act import bias_act, scaled_lrelu
from stylegan_v.ops.modulated_conv import conv2d_resample, modulated_conv2d, modulated_conv2d_per_image
from stylegan_v.ops.resample import blur2d, downsample2d, fir_filter, upfirdn2d, upsample2d
from tests.conformance.recordings import Recording, files, relative_error

TOLERANCE = 1e-5
Results = dict[str, Tensor]


def _filtering(inputs: Results, params: dict, recording: Recording) -> Results:
    kernel = recording[params["filter"]] if "filter" in params else inputs["filter"]
    padding = tuple(params["padding"]) if "padding" in params else None
    up, down = params.get("up", 1), params.get("down", 1)
    if padding is None:  # of the named operations: what keeps pixels centred
        taps = kernel.shape[-1]
        before = (taps + up - 1) // 2 if up > 1 else (taps - down + 1) // 2 if down > 1 else taps // 2
        after = (taps - up) // 2 if up > 1 else (taps - down) // 2 if down > 1 else (taps - 1) // 2
        padding = (before, after, before, after)
    gain = params.get("gain", up * up)
    y = upfirdn2d(
        inputs["x"], kernel, up=up, down=down, padding=padding, gain=gain, flip=params.get("flip_filter", False)
    )
    return {"y": y}


def _resampling_conv(inputs: Results, params: dict, recording: Recording) -> Results:
    # Ours fixes what the networks use: correlation, except when doubling.
    weight = inputs["w"] if params["flip_weight"] == (params["up"] == 1) else inputs["w"].flip((2, 3))
    return {"y": conv2d_resample(inputs["x"], weight, up=params["up"], down=params["down"])}


def _modulated(inputs: Results, params: dict, recording: Recording) -> Results:
    arguments = (inputs["x"], inputs["w"], inputs["s"])
    settings = {"up": params["up"], "demodulate": params["demodulate"]}
    noise = inputs.get("noise", torch.zeros(()))
    return {
        "y": modulated_conv2d(*arguments, **settings) + noise,
        "y_fused": modulated_conv2d_per_image(*arguments, **settings) + noise,
    }


def _linear(inputs: Results, params: dict, recording: Recording) -> Results:
    layer = EqualizedLinear(
        inputs["x"].shape[1],
        len(inputs["weight"]),
        bias="bias" in inputs,
        act=params["activation"],
        lr_multiplier=params.get("lr_multiplier", 1.0),
    )
    layer.load_state_dict({name: inputs[name] for name in ("weight", "bias") if name in inputs})
    return {"y": layer(inputs["x"])}


def _conv1d(inputs: Results, params: dict, recording: Recording) -> Results:
    out_channels, in_channels, _ = inputs["weight"].shape
    layer = EqualizedConv1d(
        in_channels,
        out_channels,
        params["kernel_size"],
        act=params["activation"],
        lr_multiplier=params.get("lr_multiplier", 1.0),
    )
    layer.load_state_dict({"weight": inputs["weight"], "bias": inputs["bias"]})
    return {"y": layer(inputs["x"])}


def _bias_act(inputs: Results, params: dict, recording: Recording) -> Results:
    settings = {name: params[name] for name in ("act", "gain", "clamp") if name in params}
    return {"y": bias_act(inputs["x"], inputs.get("b"), **settings)}


def _minibatch_std(inputs: Results, params: dict, recording: Recording) -> Results:
    return {"y": minibatch_std(inputs["x"], params["group_size"], params["num_channels"])}


OPERATIONS: dict[str, Callable[[Results, dict, Recording], Results]] = {
    "upsample2d": _filtering,
    "downsample2d": _filtering,
    "filter2d": _filtering,
    "upfirdn2d": _filtering,
    "conv2d_resample": _resampling_conv,
    "modulated_conv2d": _modulated,
    "bias_act": _bias_act,
    "minibatch_std": _minibatch_std,
    "fully_connected": _linear,
    "equalized_conv1d": _conv1d,
    "normalize_second_moment": lambda inputs, params, recording: {"y": normalize_second_moment(inputs["x"])},
}


def _operation(example: str) -> str:
    stem, _, number = example.rpartition("_")
    return stem if number.isdigit() else example


def _examples(recording: Recording) -> dict[str, dict]:
    """Parameters by name of example; augmentation has its own file of tests."""
    skipped = ("augment/", "generator_time_freqs/")
    return {name: params for name, params in recording.json("params_json").items() if not name.startswith(skipped)}


@pytest.mark.parametrize("path", files("stylegan_v", "params_json"))
def test_every_example_has_the_recorded_outputs_and_gradients(path: Path) -> None:
    recording, wrong = Recording(path), []
    for example, params in _examples(recording).items():
        inputs = {key: value.requires_grad_() for key, value in recording.group(f"{example}/in").items()}
        results = OPERATIONS[_operation(example)](inputs, params, recording)
        recorded = recording.group(f"{example}/out")
        wanted = [key.removeprefix("grad_") for key in recorded if key.startswith("grad_")]
        if wanted:
            gradients = torch.autograd.grad((results["y"] * inputs["u"]).sum(), [inputs[name] for name in wanted])
            results |= {f"grad_{name}": grad for name, grad in zip(wanted, gradients, strict=True)}
        assert results.keys() >= recorded.keys(), example
        errors = {key: relative_error(results[key], value) for key, value in recorded.items()}
        wrong += [f"{example}/{key}: {error:.1e}" for key, error in errors.items() if not error < TOLERANCE]
    assert not wrong, wrong


@pytest.mark.parametrize("path", files("stylegan_v", "params_json"))
def test_frequency_tables_are_the_recorded_ones(path: Path) -> None:
    recording = Recording(path)
    for name, params in recording.json("params_json").items():
        if name.startswith("generator_time_freqs/"):
            ours = time_frequencies(params["number"], params["min_period"], params["max_period"])
            assert relative_error(ours, recording[name]) < 1e-6, name
    for name, recorded in recording.group("discriminator_time_freqs").items():
        horizon, _, skipped = name.removeprefix("max_num_frames_").partition("_skip")
        assert relative_error(distance_frequencies(int(horizon), int(skipped or 0)), recorded) < 1e-6, name


@pytest.mark.parametrize("path", files("stylegan_v", "filter_1331"))
def test_the_filter_is_the_recorded_one(path: Path) -> None:
    assert torch.equal(fir_filter(), Recording(path)["filter_1331"])


@pytest.mark.parametrize("path", files("stylegan_v", "upsample2d/in/x"))
def test_fast_resampling_has_the_recorded_outputs(path: Path) -> None:
    recording = Recording(path)
    assert relative_error(upsample2d(recording["upsample2d/in/x"]), recording["upsample2d/out/y"]) < TOLERANCE
    assert relative_error(downsample2d(recording["downsample2d/in/x"]), recording["downsample2d/out/y"]) < TOLERANCE
    x = recording["filter2d/in/x"]
    reference = upfirdn2d(x, fir_filter(), padding=(2, 2, 2, 2))
    assert relative_error(blur2d(x, padding=2), reference) < TOLERANCE


@pytest.mark.parametrize("path", files("stylegan_v", "bias_act_0/in/x"))
def test_the_fast_leaky_relu_has_the_recorded_outputs(path: Path) -> None:
    recording = Recording(path)
    for example, params in _examples(recording).items():
        if _operation(example) == "bias_act" and params["act"] == "lrelu":
            x, b = (recording[f"{example}/in/{name}"] for name in ("x", "b"))
            gain = params.get("gain", 2**0.5) / 2**0.5
            ours = scaled_lrelu(x, None, b, gain=gain, clamp=params.get("clamp"))
            assert relative_error(ours, recording[f"{example}/out/y"]) < TOLERANCE, example
