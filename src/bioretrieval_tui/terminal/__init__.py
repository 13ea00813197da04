"""The terminal: capabilities, output, hostile text, clipboard, browser.

All text from files and from the network is cleaned by `clean`. This package handles environment
variables, escape sequences and child processes. It knows neither the catalogue nor textual.
"""
