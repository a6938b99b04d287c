#!/usr/bin/env bash
# All that wants measuring on one GPU, in one command and under ten minutes; from anywhere:
#   bash benchmarks/run_gpu.sh                     -> out/gpu.json
#   bash benchmarks/run_gpu.sh --out some.json --minutes 5
# PYTHON chooses an interpreter; flags are those of benchmarks/gpu_suite.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python}" benchmarks/gpu_suite.py "$@"
