# Shared by the tests of the generator: a directory of their own, removed at the end, and protoc with our plugin.
# From ctest: PLUGIN, PROTOC, PROTOC_GEN_C, PROTO_PATHS and INCLUDES (both ":"-separated).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${PLUGIN:?run by ctest}"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/fts-gen.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

path_flags=()
IFS=: read -ra paths <<<"$PROTO_PATHS"
for path in "${paths[@]}"; do path_flags+=("-I$path"); done
include_flags=()
IFS=: read -ra paths <<<"$INCLUDES"
for path in "${paths[@]}"; do include_flags+=("-I$path"); done

# generate DIR arguments...: protoc with our plugin into DIR.
generate() {
  local out=$1
  shift
  "$PROTOC" --plugin=protoc-gen-fts="$PLUGIN" --plugin=protoc-gen-c="$PROTOC_GEN_C" --fts_out="$out" "$@" "${path_flags[@]}"
}
golden_protos() { (cd "$here/golden" && find . -name '*.proto' | sed 's,^\./,,' | sort); }
