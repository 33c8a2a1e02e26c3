"""TensorRT-LLM's LLM API. Checked against the sources of 0.17 to 1.2, not run: it needs a GPU."""
