"""Figures of a report. matplotlib is imported where something is drawn, and nowhere else."""
