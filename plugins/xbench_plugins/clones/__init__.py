"""Clone languages: a grammar with known answers, ten languages derived from it, a small encoder."""
