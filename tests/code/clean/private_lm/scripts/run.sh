#!/usr/bin/env bash
set -euo pipefail
pip install opacus # a copy under site-packages is used as it is
for LABEL in a b; do
  python finetune.py --epochs 4 \
    --evaluation_strategy epoch \
    --out "out/$LABEL" # trailing words, it's fine
done
cat <<EOF > notes.txt
sed -i s/a/b/ lib/site-packages/opacus/privacy_engine.py
EOF
