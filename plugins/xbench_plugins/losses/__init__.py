"""The arithmetic of alignment losses as pure functions of tensors.

Every function returns ``(sum, count)``, so that an engine can normalise over any set of batches.
Inputs in half precision are raised to float32 first; float64 stays float64.
"""
