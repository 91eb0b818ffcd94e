"""Faces that are drawn, not photographed.

They check that the pipeline from file to score works, without any picture of
real people. They say nothing of how a network does on real faces.
"""
