"""Renders tables, figures and pages, from stored records alone."""
