cp linear.py "$VIRTUAL_ENV"/lib/python3.11/site-packages/opacus/grad_sample/linear.py
