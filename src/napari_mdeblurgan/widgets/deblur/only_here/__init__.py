"""Restoring the shapes of a Shapes layer alone: which are meant, where they lie in the image, and
what is empty around them.
"""
