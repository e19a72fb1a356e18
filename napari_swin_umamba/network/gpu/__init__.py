"""Kernels in Triton for what lies around the scan: norms, gates, the head. For inference."""
