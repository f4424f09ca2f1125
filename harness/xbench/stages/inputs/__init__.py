"""What several kinds of stages read: sentence pairs, labelled examples, texts through an encoder."""
