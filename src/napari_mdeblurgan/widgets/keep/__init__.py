"""Results kept in files: saved from the dock or by napari, and opened again. No torch is imported
for it.
"""
