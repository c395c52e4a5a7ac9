"""From a model and pairs of a user's own microscope to a model for it, and a fair figure of how
much better that is.
"""
