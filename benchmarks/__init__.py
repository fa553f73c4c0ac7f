"""How fast carrousel is, beside PyTorch, ONNX Runtime, JAX and the limits of the machine: `python -m benchmarks`."""
