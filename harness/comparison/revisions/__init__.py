"""Git revisions, each checked out, in its own environment, measured side by side here.

Nothing here loads torch or a runtime: what measures is each revision's own facebench, in
processes of its own.
"""
