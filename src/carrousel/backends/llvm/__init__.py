"""Kernels for CPUs, generated with LLVM."""
