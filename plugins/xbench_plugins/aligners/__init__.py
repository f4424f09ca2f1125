"""Word aligners: which words of a sentence pair translate each other."""
