"""TensorRT-LLM, checked against sources, not run: it needs a GPU.

``engine`` and ``folder``: its LLM API, for evaluation. ``rollouts`` and the rest: rollouts of the model in training.
"""
