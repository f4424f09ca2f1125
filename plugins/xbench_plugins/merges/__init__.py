"""Merges: several snapshots of one fine-tuning become one model."""
