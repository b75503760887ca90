#!/usr/bin/env bash
# Extracts results.json, and no other file, from a run's newest artifact. The archive is untrusted: it is never
# unpacked; one entry is read by its exact name, up to the maximum size of results.
set -euo pipefail

readonly OUT=$1 MAX_BYTES=$((64 * 1024 * 1024))
: "${REPOSITORY:?}" "${FOLLOWED:?}" "${ARTIFACT:?}"

archive=$(mktemp)
trap 'rm -f "$archive"' EXIT

id=$(gh api "repos/$REPOSITORY/actions/runs/$FOLLOWED/artifacts?name=$ARTIFACT" \
    --jq "[.artifacts[] | select(.expired | not) | select(.size_in_bytes < $MAX_BYTES)] | sort_by(.created_at) | last | .id // empty")
if [ -z "$id" ]; then
    echo "::notice::the run has no results of an acceptable size"
    exit 0
fi
[[ $id =~ ^[0-9]+$ ]]
gh api "repos/$REPOSITORY/actions/artifacts/$id/zip" >"$archive"

mkdir -p "$OUT"
python3 - "$archive" "$OUT/results.json" "$MAX_BYTES" <<'PY'
import sys, zipfile

archive, out, max_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    with zipfile.ZipFile(archive) as files, files.open("results.json") as entry:
        content = entry.read(max_bytes + 1)
except (KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:
    sys.exit(f"::error::the artifact contains no readable results.json ({type(error).__name__})")
if len(content) > max_bytes:
    sys.exit("::error::results.json is too large for the results of a run")
with open(out, "wb") as file:
    file.write(content)
PY
