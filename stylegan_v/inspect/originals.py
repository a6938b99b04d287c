"""What a file of the original system holds: a snapshot, or networks under the original's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from errors import InputError
from stylegan_v.inspect.contents import Contents, OptimizerFacts, Origin, count_not_finite, optimizer_settings
from stylegan_v.official.conversion import Notes, convert, read_original
from stylegan_v.official.networks import NETWORK_SETTINGS
from stylegan_v.official.run_config import run_config
from stylegan_v.official.snapshot import OptimizerState, Snapshot


def of_original(path: Path) -> Contents:
    """The contents of a snapshot or a state file, under the original's names.

    Args:
        path: A .pkl or .safetensors file.

    Raises:
        InputError: It is neither, is damaged, or asks for anything but plain values and tensors.
    """
    snapshot = read_original(path, with_moments=True)
    notes, origins, weights, config = list(snapshot.skipped), {}, None, {}
    try:
        weights, found = convert(snapshot)
    except InputError as error:
        notes.append(f"networks cannot be built: {error}")
    else:
        origins = {name: _origin(found, name) for name in found.settings}
        config = run_config(weights, found, str(path))
        told = found.assumed(NETWORK_SETTINGS)  # of the networks, with their flags; origins have all
        notes = [*found.dropped, *(f"assumed, as the file does not say: {text}" for text in told)]
    return Contents(
        path,
        "snapshot" if path.suffix == ".pkl" else "official",
        snapshot.networks,
        weights,
        parameters={network: frozenset(names) for network, names in snapshot.parameters.items()},
        config=config,
        facts=weights.facts if weights else {},
        sha256=snapshot.sha256,
        optimizers=[_optimizer(name, state, snapshot) for name, state in snapshot.optimizers.items()],
        origins=origins,
        embedded=_embedded(snapshot),
        notes=notes,
    )


def _origin(notes: Notes, name: str) -> Origin:
    """A setting; of one that is left to a rule, the rule."""
    setting, told = notes.settings[name], notes.shown(name)
    return Origin(told if setting.value is None and told != "none" else setting.value, setting.source)


def _optimizer(name: str, state: OptimizerState, snapshot: Snapshot) -> OptimizerFacts:
    network = name.removesuffix("_opt")
    moments = [moment for entry in state.moments.values() for moment in entry.values()]
    return OptimizerFacts(
        network,
        "torch.optim.Adam",
        optimizer_settings(state.settings),
        len(snapshot.parameters[network]),
        max((entry["step"] for entry in state.moments.values() if "step" in entry), default=None),
        count_not_finite(moments),
    )


def _embedded(snapshot: Snapshot) -> dict[str, Any]:
    """The plain values that the file carries beside its tensors; those it does not have are left out."""
    parts = {
        "stats": snapshot.stats,
        "augment": snapshot.augment,
        "sampling": snapshot.sampling,
        "training_set": snapshot.training_set,
        "config": snapshot.config,
        "init_kwargs": {network: kwargs for network, kwargs in snapshot.init_kwargs.items() if kwargs},
    }
    return {name: part for name, part in parts.items() if part}
