"""Before and after along a line on the canvas, with the error bar, as a plot."""
