"""Microscopes' own formats, each read by what reads it best."""
