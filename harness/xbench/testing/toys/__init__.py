"""What the contracts try plugins on: a tiny encoder, clone languages, batches, a probe's view."""
