"""The network, when it is asked for: one careful door, and what goes through it."""
