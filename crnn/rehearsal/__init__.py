"""An ONNX graph computed as ATC would have a chip compute it: in float16, on this processor.

What is modelled, and what is not, stands in docs/simulator.md. The room sees nothing of the kit, so
that both the kit and the simulator may see it; it needs NumPy, and onnx to read a graph.
"""
