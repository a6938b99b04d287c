#!/usr/bin/env bash
# Trains on the GPUs of several machines. The same command on each of them, at about the same time, from the checkout:
#   NODES=2 GPUS=4 HOST=name-of-the-first bash configs/launch/torchrun_multi_node.sh configs/stylegan_v/ffs.yaml \
#       --data.root data/ffs.zip --runs_dir runs
# The folder of runs must be the same on all machines (a shared file system): one process of all writes there, and all
# read the checkpoint with which a run goes on. The data may lie on each machine by themselves.
set -euo pipefail

CONFIG=$1
shift # what remains goes to train.py as it is

: "${NODES:?how many machines take part}"
: "${GPUS:?how many GPUs each of them has}"
: "${HOST:?name or address of one of them, where all meet}"

# c10d: the machines meet at HOST, and agree on who is which rank. --rdzv_id tells launches apart that meet at one host.
# --max-restarts: when a process dies, on whichever machine, all are started again from the last checkpoint. They must not
# meet in the store that torchrun keeps for all starts: there, they can find addresses of processes that have ended.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
torchrun --nnodes "$NODES" --nproc_per_node "$GPUS" --max-restarts "${RESTARTS:-1}" \
    --rdzv_backend c10d --rdzv_endpoint "$HOST:${PORT:-29500}" --rdzv_id "${ID:-train}" \
    train.py fit --config "$CONFIG" --trainer.num_nodes "$NODES" --trainer.devices "$GPUS" "$@"

# Where a machine has several networks, name the fast one: NCCL_SOCKET_IFNAME=ib0. What NCCL does: NCCL_DEBUG=INFO.
