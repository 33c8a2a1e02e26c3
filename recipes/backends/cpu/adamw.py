"""AdamW whose step counter lives in the parameter group, as Apex's and Transformer Engine's FusedAdam keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class GroupStepAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov & Hutter 2019), equal to `torch.optim.AdamW`, but counting steps in ``param_group["step"]``.

    Megatron's distributed optimizer saves every per-parameter state tensor as a shard of the parameter's shape; torch's
    scalar ``step`` has no such shape. One fused multi-tensor kernel call per group does the arithmetic.

    Args:
        params: parameters or groups, fp32, those of a group on one device.
        lr: learning rate.
        betas: decay rates of the first and second moment.
        eps: added to the denominator.
        weight_decay: decoupled weight decay.

    Raises:
        ValueError: a hyperparameter outside its range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"AdamW needs lr, eps, weight_decay >= 0 and betas in [0, 1); "
                f"found lr={lr}, eps={eps}, weight_decay={weight_decay}, betas={tuple(betas)}"
            )
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "step": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            for p in params:
                state = self.state[p]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
            beta1, beta2 = group["betas"]
            torch._fused_adamw_(
                params,
                [p.grad for p in params],
                [self.state[p]["exp_avg"] for p in params],
                [self.state[p]["exp_avg_sq"] for p in params],
                [],  # no amsgrad maxima
                [torch.tensor(float(group["step"]), device=params[0].device)] * len(params),
                lr=float(group["lr"]),
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
        return loss
