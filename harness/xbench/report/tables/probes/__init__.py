"""Tables of what probes measured, and of whether it predicts transfer."""
