"""How good a model is, measured against simpler ways on images it never saw."""
