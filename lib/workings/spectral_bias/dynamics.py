"""Gradient descent on a squared loss, seen from the outputs: every eigenvector of the kernel at its own pace."""

from __future__ import annotations

import torch
from torch import Tensor

from workings.spectral_bias.kernels import square_matrix

LOSSES = ("half-sum", "sum", "half-mean", "mean")  # ½ Σ e², Σ e², ½ mean e², mean e²


class KernelDynamics:
    r"""How the outputs of a network with a constant kernel move under gradient descent on a squared loss.

    With :math:`K = Q\Lambda Q^\top`, outputs :math:`f_0` at the start and the loss ½ Σ (f − y)²,

    .. math:: f_t(X) &= y + Q e^{-\Lambda t} Q^\top (f_0 - y), \\
              f_t(X_*) &= f_0(X_*) + K_* Q \varphi_t(\Lambda) Q^\top (y - f_0), \qquad
              \varphi_t(\lambda) = (1 - e^{-\lambda t}) / \lambda

    where t is the learning rate times the number of steps, and φ_t(0) = t: nothing is inverted. Equation 3 of the paper
    is this for f₀ = 0 and a kernel that has an inverse. Other losses run at another pace: Σ twice as fast, a mean over
    n points n times as slow.

    Args:
        kernel: K, (n, n), symmetric and positive semidefinite. Taken to float64.
        y: labels (n,).
        start: f₀ at the training points, (n,); zero if None.
        loss: one of ``"half-sum"``, ``"sum"``, ``"half-mean"`` and ``"mean"``.

    Attributes:
        eigenvalues: of K, rising, (n,); those that rounding made negative are zero.
        eigenvectors: Q, (n, n).
        pace: how much faster than with ½ Σ.

    Raises:
        ValueError: for shapes that do not fit, another loss, a kernel that is not symmetric or has eigenvalues that
            are clearly negative.

    >>> dynamics = KernelDynamics(torch.diag(torch.tensor([0.0, 1.0, 4.0])), torch.ones(3))
    >>> dynamics.flow(0.5).round(decimals=4).tolist()
    [0.0, 0.3935, 0.8647]

    """

    def __init__(self, kernel: Tensor, y: Tensor, start: Tensor | None = None, loss: str = "half-sum") -> None:
        square_matrix(kernel)
        if y.shape != kernel.shape[:1]:
            raise ValueError(
                f"y has shape {tuple(y.shape)}; for a kernel between {len(kernel)} points it is ({len(kernel)},)"
            )
        if start is not None and start.shape != y.shape:
            raise ValueError(f"start has shape {tuple(start.shape)}, y has {tuple(y.shape)}")
        if loss not in LOSSES:
            raise ValueError(f"loss is {loss!r}; it can be {', '.join(LOSSES)}")
        kernel = kernel.double()
        if not torch.allclose(kernel, kernel.T, rtol=1e-4, atol=1e-6 * float(kernel.abs().max())):
            raise ValueError("kernel is not symmetric; it must be one between the training points and themselves")
        self.eigenvalues, self.eigenvectors = torch.linalg.eigh(kernel)
        if self.eigenvalues[0] < -1e-4 * self.eigenvalues[-1].clamp(min=1e-12):
            raise ValueError(f"kernel has the eigenvalue {float(self.eigenvalues[0]):.3g}; none may be negative")
        self.eigenvalues = self.eigenvalues.clamp(min=0)
        self.pace = (2.0 if loss in ("sum", "mean") else 1.0) / (len(y) if "mean" in loss else 1)
        self.y = y.double()
        self.start = torch.zeros_like(self.y) if start is None else start.double()

    def flow(self, time: float | Tensor, cross: Tensor | None = None, start: Tensor | None = None) -> Tensor:
        """Return the outputs after ``time`` = learning rate × steps, in the limit of small steps.

        Args:
            time: one time, or times (...).
            cross: K_*, the kernel between other points and the training points, (m, n); the training points if None.
            start: f₀ at the other points, (m,); zero if None.

        Returns:
            Outputs (..., n), or (..., m), float64.

        Raises:
            ValueError: for shapes that do not fit, or a time that is negative or not finite.

        """
        t = torch.as_tensor(time, dtype=torch.float64, device=self.y.device)[..., None]
        if not bool(((t >= 0) & t.isfinite()).all()):
            raise ValueError(f"time must be finite and not negative; got {time}")
        t = self.pace * t
        return self._outputs(torch.exp(-self.eigenvalues * t), filtered(self.eigenvalues, t), cross, start)

    def descent(self, steps: int, rate: float, cross: Tensor | None = None, start: Tensor | None = None) -> Tensor:
        r"""Return the outputs after so many steps of gradient descent: :math:`(1 - \eta\lambda)^k` for the exponential.

        It grows where ηλ is above 2, as the training does.

        Args:
            steps: k.
            rate: the learning rate η.
            cross: as in `flow`.
            start: as in `flow`.

        Returns:
            Outputs (n,), or (m,), float64.

        Raises:
            ValueError: for shapes that do not fit, negative steps, or a rate that is not positive.

        """
        if steps < 0 or not rate > 0:
            raise ValueError(f"steps must not be negative and rate must be positive; got {steps} and {rate}")
        eta = self.pace * rate
        step = eta * self.eigenvalues
        decay = (1 - step) ** steps
        # where a step does little, 1 - decay would be a difference of numbers that are almost the same
        done = torch.where(step < 0.5, -torch.expm1(steps * torch.log1p(-step.clamp(max=0.5))), 1 - decay)
        safe = torch.where(self.eigenvalues > 0, self.eigenvalues, torch.ones_like(step))
        gain = torch.where(steps * step < 1e-8, torch.full_like(step, eta * steps), done / safe)
        return self._outputs(decay, gain, cross, start)

    def _outputs(self, decay: Tensor, gain: Tensor, cross: Tensor | None, start: Tensor | None) -> Tensor:
        error = (self.start - self.y) @ self.eigenvectors  # in the eigenbasis, (n,)
        if cross is None:
            if start is not None:
                raise ValueError("start goes with cross; that of the training points is given when this is made")
            inside: Tensor = self.y + (decay * error) @ self.eigenvectors.T
            return inside
        if cross.dim() != 2 or cross.shape[1] != len(self.y):
            raise ValueError(f"cross has shape {tuple(cross.shape)}; it must be (m, {len(self.y)})")
        if start is not None and start.shape != cross.shape[:1]:
            raise ValueError(f"start has shape {tuple(start.shape)}; cross is for {len(cross)} points")
        moved: Tensor = -(gain * error) @ (cross.double() @ self.eigenvectors).T
        return moved if start is None else start.double() + moved


def filtered(eigenvalues: Tensor, time: Tensor) -> Tensor:
    r"""Return :math:`\varphi_t(\lambda) = (1 - e^{-\lambda t}) / \lambda`, which is t where λ t is as good as zero.

    >>> filtered(torch.tensor([0.0, 2.0]).double(), torch.tensor(0.5).double()).round(decimals=4).tolist()
    [0.5, 0.3161]

    """
    small = eigenvalues * time < 1e-8
    safe = torch.where(eigenvalues > 0, eigenvalues, torch.ones_like(eigenvalues))
    return torch.where(small, time.expand(small.shape), -torch.expm1(-eigenvalues * time) / safe)
