"""TensorRT-LLM's LLM API. Checked against sources (see ``engine``), not run: it needs a GPU."""
