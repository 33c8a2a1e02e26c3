"""avg@n: sample -> grade -> score (paper §4.1)."""
