"""From a model and pairs of a user's own microscope to a model for that microscope, and a fair figure of how much better it is."""
