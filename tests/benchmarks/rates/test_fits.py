"""Fits of the curves: the same network and length for all, kept by their settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.rates.fits import Plan, configs_of, is_done, rate_weights, run_folder


def test_all_fits_have_one_architecture_one_length_and_one_stream_of_pixels() -> None:
    configs = configs_of(Path("clips/a"), Plan(updates=7, batch_size=64), ("rival", "rate"), 4)
    assert {kind: len(some) for kind, some in configs.items()} == {"rival": 1, "rate": 4}
    every = [config for some in configs.values() for config in some]
    for key in ("model", "total_updates"):
        assert len({str(config["model"]["init_args"][key]) for config in every}) == 1
    assert len({str(config["data"]) for config in every}) == 1
    assert [c["model"]["init_args"]["rate_weight"] for c in configs["rate"]] == rate_weights(4)


def test_weights_are_spread_evenly_by_their_logarithms() -> None:
    weights = rate_weights(5)
    assert weights == sorted(weights, reverse=True)
    ratios = [a / b for a, b in zip(weights[1:], weights[:-1], strict=True)]
    assert ratios == pytest.approx([ratios[0]] * 4)


def test_a_fit_lies_where_its_settings_say(tmp_path: Path) -> None:
    def folder(clip: str, plan: Plan) -> Path:
        (config,) = configs_of(Path(clip), plan, ("rival",), 4)["rival"]
        return run_folder(config, tmp_path)

    assert folder("x/a", Plan()) == folder("y/a", Plan())  # the same clip, elsewhere
    others = [folder("x/b", Plan()), folder("x/a", Plan(updates=3)), folder("x/a", Plan(seed=1))]
    assert len({folder("x/a", Plan()), *others}) == 4
    assert not is_done(folder("x/a", Plan()))
