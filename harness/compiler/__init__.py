"""Apache TVM: targets, lowering and linking."""
