"""Trackers: hook modules that pass the losses of a run on to other tools."""
