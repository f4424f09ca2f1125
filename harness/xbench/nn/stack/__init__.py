"""Several fine-tunings of one shape as one program: every parameter, batch and draw is ``[R, ...]``.

In shapes, R is the number of replicas, K of packed rows, W their width, S = K * W of places, N of a
replica's tokens, M of labelled places, D the hidden size, H of attention heads, L of layers, C of classes.
"""
