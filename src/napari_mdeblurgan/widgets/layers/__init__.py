"""Layers of the viewer: their axes, where they lie, how they look, which belong together, and how
new ones are added.
"""
