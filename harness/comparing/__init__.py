"""Is what was measured slower, larger or less accurate than before; and how sure is that?

Nothing here measures: it reads records, baselines and other tools' files, and needs
neither torch nor TVM.
"""
