#!/usr/bin/env bash
# Trains on all GPUs of this machine, one process each; run from the checkout:
#   bash configs/launch/torchrun_single_node.sh configs/stylegan_v/ffs.yaml --data.root data/ffs.zip
# GPUS=2 in front uses only two. (`python train.py fit ... --trainer.devices 4` does the same without torchrun, which
# gives two things more: it watches the processes, and starts all of them again when one dies.)
set -euo pipefail

CONFIG=$1
shift # what remains goes to train.py as it is

GPUS=${GPUS:-$(python -c 'import torch; print(torch.cuda.device_count())')}

# The config's batch_size is that of all processes together, so the number of GPUs does not change what is trained.
# --standalone: no other machine takes part. --max-restarts: when a process dies, all are started again, and find the
# checkpoint that this launch saved last; at most checkpointing.every_updates updates are done twice.
torchrun --standalone --nproc_per_node "$GPUS" --max-restarts "${RESTARTS:-1}" \
    train.py fit --config "$CONFIG" --trainer.devices "$GPUS" "$@"
