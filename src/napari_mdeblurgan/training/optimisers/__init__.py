"""How the weights of a network are changed, and how fast."""
