"""Kernels written in TVM's tensor IR, blocked for the registers of the target."""
