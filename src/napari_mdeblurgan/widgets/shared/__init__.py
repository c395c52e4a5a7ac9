"""What the docks have in common: choices that are kept, settings, rows and words, and how docks
come and go.
"""
