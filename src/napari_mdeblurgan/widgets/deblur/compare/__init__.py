"""Before and after, looked at together: blinking, behind a curtain, or side by side."""
