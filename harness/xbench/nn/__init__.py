"""Encoders and their training: views of batches, replay in parts, the optimiser, saved states.

Nothing here knows of stages, stores or plugins; ``stages`` use it. The encoders themselves, and the
reading of their folders, are in ``nn/encoders``.
"""
