"""What the stage of probes shows to one: text, states and gradients of a checkpoint."""
