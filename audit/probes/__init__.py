"""Measures of a training step: what one record does to it, what noise it adds, what it keeps. Needs torch."""
