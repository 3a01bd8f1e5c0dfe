#!/usr/bin/env bash
# Takes the pictures of docs/studio.md from the program itself, as its tests play the whole story in a browser. Needs chromium,
# chromium-driver and cargo-nextest. Usage: docs/studio-pictures.sh
set -euo pipefail
cd "$(dirname "$0")/.."
taken=$(mktemp -d)
trap 'rm -rf "$taken"' EXIT
CI=true SCIURUS_SCREENSHOTS="$taken" cargo nextest run --workspace -E 'binary(studio) & test(story)'
for page in project look train clean results try; do
  cp "$taken/studio-$page.jpg" docs/
done
