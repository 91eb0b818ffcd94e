"""Compiles with Apache TVM: targets, lowering and linking."""
