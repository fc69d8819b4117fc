"""Tells whether a paper's differential-privacy claim on synthetic text holds."""
