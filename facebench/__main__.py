"""Runs the command line: `python -m facebench` is what `facebench` is."""

from facebench.harness.cli.main import main

main()
