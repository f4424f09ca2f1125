"""Claims: what the reference study says of alignment and transfer, as checks of any run."""
