#!/usr/bin/env bash
# Takes results.json, and no other file, out of a run's newest artifact. The archive comes from a stranger:
# it is never unpacked, one entry is read by its exact name, and no more of it than any run's results have.
set -euo pipefail

readonly OUT=$1 MOST=$((64 * 1024 * 1024))
: "${REPOSITORY:?}" "${FOLLOWED:?}" "${ARTIFACT:?}"

archive=$(mktemp)
trap 'rm -f "$archive"' EXIT

id=$(gh api "repos/$REPOSITORY/actions/runs/$FOLLOWED/artifacts?name=$ARTIFACT" \
    --jq "[.artifacts[] | select(.expired | not) | select(.size_in_bytes < $MOST)] | sort_by(.created_at) | last | .id // empty")
if [ -z "$id" ]; then
    echo "::notice::the run left no results of a usable size"
    exit 0
fi
[[ $id =~ ^[0-9]+$ ]]
gh api "repos/$REPOSITORY/actions/artifacts/$id/zip" >"$archive"

mkdir -p "$OUT"
python3 - "$archive" "$OUT/results.json" "$MOST" <<'PY'
import sys, zipfile

archive, out, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    with zipfile.ZipFile(archive) as files, files.open("results.json") as entry:
        content = entry.read(most + 1)
except (KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:
    sys.exit(f"::error::the artifact holds no results.json that can be read ({type(error).__name__})")
if len(content) > most:
    sys.exit("::error::results.json is larger than any run's results")
with open(out, "wb") as file:
    file.write(content)
PY
