"""Ours against the originals: every output array of a golden folder, recomputed and compared."""
