"""Reaches boards: machines that serve their runtimes over TVM's RPC, and clients of them."""
