"""The terminal and what surrounds it: hostile text, links, the clipboard, opening, capabilities.

Text from files and from the network passes through `clean` here and nowhere else. This room knows
of environment variables, escape sequences and child processes; it knows nothing of the catalogue,
of rich or of textual.
"""
