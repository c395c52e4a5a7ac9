"""Judging by real blur: focus series, and pairs of images of one place, in which one image is
sharper than the other.

Nothing here is simulated, and none of these images is trained on.
"""
