"""Training: examples from what people have, recipes as settings, models of one's own."""
