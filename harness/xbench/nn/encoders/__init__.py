"""The two encoders with one interface, and what is read of a model folder in the hub's format.

``encoder`` is the compact module for the BERT family, ``transformers_encoder`` runs the library's own
blocks; ``loading.load_encoder`` picks one by the folder's configuration.
"""
