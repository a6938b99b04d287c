"""The filling of a new network from an old one, with an entry for every tensor."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stylegan_v.transfer.table import Row


class Ledger:
    """Fills the tensors of a new network in place and notes where each came from.

    Rules name tensors by their modules, so that blocks may stand under other names in the two networks.

    Args:
        network: Its name in the table.
        old: The source, with its weights.
        new: What is filled; a tensor that no rule fills keeps its own start.
    """

    def __init__(self, network: str, old: nn.Module, new: nn.Module) -> None:
        self.network, self.old, self.new = network, old, new
        self.notes: list[str] = []
        self._prefixes = {
            module: f"{name}." if name else "" for side in (old, new) for name, module in side.named_modules()
        }
        self._old, self._new = old.state_dict(), new.state_dict()  # views: filling these fills the networks
        self._rows: dict[str, Row] = {}
        self._used: set[str] = set()

    def take(self, new: nn.Module, old: nn.Module, only: Iterable[str] | None = None) -> bool:
        """Copies a module as it is; where a tensor has another shape or no counterpart, all of the module starts anew.

        Args:
            new: Module of the new network.
            old: Its counterpart.
            only: Names of tensors in the module; None: all, those of its children included.

        Returns:
            Whether it was copied.
        """
        names = list(new.state_dict() if only is None else only)
        sources = {name: self._old.get(self._prefixes[old] + name) for name in names}
        fits = all(value is not None and value.shape == self._tensor(new, n).shape for n, value in sources.items())
        for name, source in sources.items():
            shape = None if source is None else source.shape
            self._used.add(self._prefixes[old] + name)  # or told of in its counterpart's row
            if fits:
                self._fill(new, name, source, "taken", shape)
            else:
                same = source is not None and source.shape == self._tensor(new, name).shape
                how = "not in the source" if source is None else "its layer changed" if same else "another shape"
                self._enter(new, name, "new", shape, how)
        return fits

    def adapt(self, new: nn.Module, name: str, value: Tensor, how: str, old: nn.Module, source: str = "") -> None:
        """Fills one tensor with a value that was made from the source.

        Args:
            new: Module of the new network.
            name: Of the tensor in the module.
            value: What it becomes.
            how: A few words.
            old: Module of the source.
            source: Name of the tensor there; empty: the same.
        """
        full = self._prefixes[old] + (source or name)
        self._used.add(full)
        self._fill(new, name, value, "adapted", self._old[full].shape, how)

    def start(self, new: nn.Module, name: str, value: Tensor | float, how: str) -> None:
        """Fills one tensor that has no source with a value of our choice."""
        self._fill(new, name, torch.as_tensor(value).expand_as(self._tensor(new, name)), "new", None, how)

    def anew(self, new: nn.Module, how: str) -> None:
        """Leaves all tensors of a module as they are, and says why; those already entered are left out."""
        for name in new.state_dict():
            if self._prefixes[new] + name not in self._rows:
                self._enter(new, name, "new", None, how)

    def fresh(self, new: nn.Module, name: str) -> Tensor:
        """What a tensor was when the new network was made, or what it has become since; a copy."""
        return self._tensor(new, name).detach().cpu().clone()

    def use(self, old: nn.Module) -> None:
        """Notes that the source's module went into others."""
        self._used |= {self._prefixes[old] + name for name in old.state_dict()}

    def rows(self) -> list[Row]:
        """All tensors of the new network, then those of the source that were of no use."""
        left = [name for name in self._new if name not in self._rows]
        for name in left:
            self._rows[name] = Row(self.network, name, "new", None, tuple(self._new[name].shape), "not in the source")
        rows = [self._rows[name] for name in self._new]
        unused = [name for name in self._old if name not in self._used]
        return rows + [Row(self.network, name, "unused", tuple(self._old[name].shape), None) for name in unused]

    def _tensor(self, module: nn.Module, name: str) -> Tensor:
        return self._new[self._prefixes[module] + name]

    @torch.no_grad()
    def _fill(
        self, new: nn.Module, name: str, value: Tensor, outcome: str, old_shape: Iterable[int] | None, how: str = ""
    ) -> None:
        tensor = self._tensor(new, name)
        if tensor.shape != value.shape:
            raise ValueError(f"{name}: a rule made {tuple(value.shape)}, wanted is {tuple(tensor.shape)}")
        tensor.copy_(value)
        self._enter(new, name, outcome, old_shape, how)

    def _enter(self, new: nn.Module, name: str, outcome: str, old_shape: Iterable[int] | None, how: str) -> None:
        full = self._prefixes[new] + name
        shape = None if old_shape is None else tuple(old_shape)
        self._rows[full] = Row(self.network, full, outcome, shape, tuple(self._new[full].shape), how)  # type: ignore[arg-type]
