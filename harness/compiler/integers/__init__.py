"""Kernels that compute networks of integers, as docs/int8.md defines them."""
