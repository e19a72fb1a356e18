"""Kernels for the CPU: vector code in Numba, a pool of threads, compilation on first use."""

LANES = 16
"""Float32 values that a kernel works on at once."""
