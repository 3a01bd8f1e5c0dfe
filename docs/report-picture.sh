#!/usr/bin/env bash
# Draws docs/report.png, the picture of a report in the README: pictures of `sciurus demo`, ten of them moved into the wrong
# folder, a short training, its page in a browser. Needs chromium and pngquant. Usage: docs/report-picture.sh [sciurus]
set -euo pipefail
sciurus=$(realpath "$(command -v "${1:-sciurus}")")
out=$(realpath "$(dirname "$0")")/report.png
work=${TMPDIR:-/tmp}/sciurus-report
mkdir "$work"
trap 'rm -rf "$work"' EXIT
cd "$work"

"$sciurus" demo --quiet > demo.log
for number in 003 017 029 041 053 067 079 091 103 117; do
  mv "sciurus-demo/leaf/leaf-$number.png" "sciurus-demo/acorn/"
done
"$sciurus" train sciurus-demo --no-pretrained --arch resnet10_narrow --image-size 64 --batch-size 16 --epochs 8 \
  --learning-rate 0.005 --run run --quiet > train.log
"$sciurus" interpret run --html report.html --quiet > interpret.log
chromium --headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars \
  --user-data-dir="$work/browser" --window-size=1000,1930 --screenshot=page.png "file://$work/report.html" 2> chromium.log
pngquant 64 --force --speed 1 --output "$out" page.png
ls -l "$out"
