"""Fine-tuning: the networks of a new run start from the weights of another."""

from stylegan_v.transfer.networks import start_from, transfer
from stylegan_v.transfer.table import Row, Table

__all__ = ["Row", "Table", "start_from", "transfer"]
