"""FFNeRVs of a few pixels, for tests."""

from __future__ import annotations

from fields.ffnerv import FFNeRV, FFNeRVNetwork

SIZE = (6, 16, 24)
NETWORK = {
    "latent_times": (3, 6),
    "latent_dim": 8,
    "latent_size": (2, 3),
    "strides": (2, 2, 2),
    "lower_width": 8,
    "cam_knots": 4,
}


def small_network(**settings: object) -> FFNeRVNetwork:
    return FFNeRVNetwork(**{**NETWORK, **settings})


def small_field(official_warp: bool = False, **settings: object) -> FFNeRV:
    return FFNeRV(SIZE, small_network(**settings), official_warp)


def node(size: tuple[int, int, int] = SIZE, **settings: object) -> dict:
    """What a config says of such a field."""
    arguments = {name: list(v) if isinstance(v, tuple) else v for name, v in {**NETWORK, **settings}.items()}
    network = {"class_path": "fields.ffnerv.FFNeRVNetwork", "init_args": arguments}
    return {"class_path": "fields.ffnerv.FFNeRV", "init_args": {"size": list(size), "network": network}}
