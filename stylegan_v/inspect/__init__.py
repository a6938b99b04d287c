"""A look at a file of weights: what it is, how it was made, whether its numbers are sound, what it draws."""
