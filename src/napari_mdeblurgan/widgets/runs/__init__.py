"""Runs of what was ordered in a dock: jobs, made in memory or on disk one after another, and the
results that are kept.
"""
