"""The napari side: gathers what the user chose, hands it to the compute wing and shows what comes
back.
"""
