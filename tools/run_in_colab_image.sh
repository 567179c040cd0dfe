#!/usr/bin/env bash
# Run every notebook inside Colab's public image (.github/workflows/colab.yml), with the packages that Colab has.
set -euo pipefail

pip freeze | sort > /tmp/before.txt
pip install -q ".[notation]"
pip freeze | sort > /tmp/after.txt
# Only what Colab lacks may be new: a line that vanished is a version that the library's bounds have changed.
if ! comm -23 /tmp/before.txt /tmp/after.txt | { ! grep .; }; then
    echo "Installing mini_musessl changed the versions above: its lower bounds are too high for Colab."
    exit 1
fi
pip install -q nbval
python -m pytest -q -p no:cacheprovider --override-ini addopts= --override-ini filterwarnings= \
    --nbval --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout=600 notebooks
