"""Text diffusion models and their private training, each readable alone. Never imports `audit`."""
