#!/usr/bin/env bash
# GPU tests and benchmarks in one go, on a machine that has Python with torch and Triton, and nvcc.
#
#   benchmarks/gpu.sh [FOLDER]          results go to FOLDER: gpu.json, gpu.md, logs
#
# WHEELS    a folder of wheels and mamba-ssm's source distribution, for machines without a network:
#             pip download -d build/wheels --no-deps --only-binary :all: --python-version 3.12 monai numpy pytest \
#                 pluggy iniconfig packaging pygments hypothesis sortedcontainers attrs pytest-timeout ninja
#             MAMBA_SKIP_CUDA_BUILD=TRUE pip download -d build/wheels --no-deps --no-build-isolation \
#                 --no-binary mamba-ssm mamba-ssm==2.3.2.post1     (where torch, wheel and setuptools are installed)
# CACHE     what is installed and built, kept between calls (build/gpu)
# SECONDS_IN_ALL   about the time to take (570); the extension gets what tests and figures leave
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
began=$(date +%s)
limit=${SECONDS_IN_ALL:-570}
out=${1:-${OUT:-build/gpu-results}}
cache=$(realpath -m "${CACHE:-build/gpu}")
python=${PYTHON:-python3}
mkdir -p "$out" "$cache/site"
export PYTHONPATH="$PWD:$PWD/training:$cache/site:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
left() { echo $((limit - $(date +%s) + began)); }

# Without dependencies: torch is there, and must not be replaced.
missing=()
for package in monai numpy pytest pluggy iniconfig packaging pygments hypothesis sortedcontainers attr:attrs \
    pytest_timeout:pytest-timeout ninja; do
    "$python" -c "import ${package%%:*}" 2>/dev/null || missing+=("${package##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    source=()
    [ -n "${WHEELS:-}" ] && source=(--no-index --find-links "$WHEELS")
    "$python" -m pip install --quiet --no-deps --target "$cache/site" \
        ${source[@]+"${source[@]}"} "${missing[@]}" || echo "not installed: ${missing[*]}"
fi
export PATH="$cache/site/bin:$PATH"

# The compilers work while the GPU is tested; figures are taken when they are done.
archive=$(ls "${WHEELS:-$cache}"/mamba_ssm-*.tar.gz 2>/dev/null | tail -1)
builder=
if [ -n "$archive" ]; then
    "$python" benchmarks/mamba_extension.py "$archive" "$cache/mamba" --limit $(($(left) - 240)) \
        >"$out/extension.log" 2>&1 &
    builder=$!
elif [ ! -e "$cache"/mamba/lib/selective_scan_cuda.so ]; then
    echo "no source distribution of mamba-ssm in ${WHEELS:-$cache}: the official arrangement is left out"
fi

# The tests fit into the compilers' time; figures are taken when both are done.
failed=0
tests=$(($(left) - 240))
timeout $((tests > 30 ? tests : 30)) "$python" -m pytest -q -p no:cacheprovider -o addopts=--import-mode=importlib \
    -o filterwarnings=default tests/network/test_replay.py tests/network/triton_norm_cases.py \
    tests/network/triton_cases.py >"$out/tests.log" 2>&1 || failed=1
tail -25 "$out/tests.log"
if [ -n "$builder" ]; then
    wait "$builder" || tail -3 "$out/extension.log"
fi
minutes=$("$python" -c "print(max(1, ($(left) - 30) / 60))")
"$python" benchmarks/gpu.py --json "$out/gpu.json" --markdown "$out/gpu.md" --minutes "$minutes" \
    --extension "$cache/mamba" || failed=1
exit $failed
