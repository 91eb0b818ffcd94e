"""The schema of results, and the files that hold them; needs neither torch nor TVM."""
