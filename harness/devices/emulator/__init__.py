"""Devices without a board: code for ARM run by QEMU, and what it would take on a core."""
