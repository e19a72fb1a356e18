"""Kernels for the CPU: vector code in Numba, a pool of threads, compilation on first use."""
