"""Measures git revisions side by side here, each checked out, in an environment of its own.

Nothing here loads torch or a runtime: what measures is each revision's own facebench, in
processes of its own.
"""
