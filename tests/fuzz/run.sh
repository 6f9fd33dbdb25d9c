#!/bin/bash
# Fuzz for SECONDS in all (default 30), the harnesses sharing the time and the processors. Exit 1: a crash, an error or
# a hang was found; the input that shows it is kept beside the harness. Usage: tests/fuzz/run.sh [SECONDS] [BUILD_DIR]
set -uo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-30}
build=${2:-build-fuzz}
jobs=$(nproc)
failed=0

mapfile -t harnesses < <(find "$build/bin" -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort)
count=${#harnesses[@]}
[ "$count" -gt 0 ] || { echo "no harness in $build/bin"; exit 1; }
each=$((seconds * jobs / count))
[ "$each" -gt 0 ] || each=1

# one HARNESS: its log is shown when it finds something.
one() {
  local name=${1##*/fuzz_} found="$build/fuzz/${1##*/}"
  local seeds=tests/fuzz/corpus/$name
  mkdir -p "$found/corpus"
  if "$1" -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$found/" "$found/corpus" $([ -d "$seeds" ] && echo "$seeds") >"$found/log" 2>&1; then
    echo "$name: $(sed -nE 's/^stat::number_of_executed_units: *//p' "$found/log") inputs in $each s, clean"
  else
    tail -n 40 "$found/log"
    echo "$name: FAILED, see $found"
    return 1
  fi
}

for ((at = 0; at < count; at += jobs)); do
  pids=()
  for harness in "${harnesses[@]:at:jobs}"; do
    one "$harness" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
done
exit "$failed"
