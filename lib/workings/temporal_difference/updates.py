"""What each step of a sequence does to the weights: supervised learning, TD(λ), and an incremental learner."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from workings.typed import Floats, NonNegative


def predictions(net: nn.Module, x: Floats) -> tuple[Tensor, Tensor]:
    r"""Return :math:`P_t` and :math:`\nabla_w P_t` for all observations of a sequence, at fixed weights.

    Args:
        net: maps (d,) to one number, of shape () or (1,).
        x: observations (m, d).

    Returns:
        Predictions (m,), and their slopes in all trainable parameters, in the order of ``net.parameters()``, (m, p).

    >>> net = nn.Linear(2, 1, bias=False)
    >>> x = torch.tensor([[1.0, 2.0]])
    >>> predictions(net, x)[1].tolist()  # of a linear predictor: the observation
    [[1.0, 2.0]]

    """
    weights = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}

    def predict(w: dict[str, Tensor], one: Tensor) -> Tensor:
        found: Tensor = functional_call(net, w, (one,))
        if found.numel() != 1:
            raise ValueError(f"net gives {tuple(found.shape)} for one observation; a prediction is one number")
        return found.reshape(())

    slopes, p = vmap(grad_and_value(predict), in_dims=(None, 0))(weights, x)
    return p, torch.cat([slopes[name].reshape(len(x), -1) for name in weights], 1)


def supervised_increments(p: Tensor, slopes: Tensor, z: Tensor | float) -> Tensor:
    r"""Return :math:`(z - P_t)\,\nabla_w P_t`, the steps of supervised learning less their rate.

    Equation (2) of Sutton (1988); temporal_difference:supervised in the chapter. With a linear predictor,
    ``p = x @ w`` and ``slopes = x``, this is the Widrow–Hoff procedure.

    Args:
        p: predictions (..., m).
        slopes: their gradients (..., m, d).
        z: the outcome, (...).

    Returns:
        The increments (..., m, d).

    """
    _fit(p, slopes)
    outcome = torch.as_tensor(z, dtype=p.dtype, device=p.device)
    return (outcome[..., None] - p)[..., None] * slopes


def traces(slopes: Tensor, lam: NonNegative | Tensor) -> Tensor:
    r"""Return :math:`e_t = \lambda e_{t-1} + \nabla_w P_t` (temporal_difference:trace), (..., m, d).

    Args:
        slopes: of the predictions, (..., m, d).
        lam: λ, a number or what broadcasts to (..., d).

    >>> traces(torch.ones(3, 1), 0.5)[:, 0].tolist()
    [1.0, 1.5, 1.75]

    """
    kept = [slopes[..., 0, :]]
    for t in range(1, slopes.shape[-2]):
        kept.append(lam * kept[-1] + slopes[..., t, :])
    return torch.stack(kept, -2)


def td_increments(p: Tensor, slopes: Tensor, z: Tensor | float, lam: NonNegative | Tensor) -> Tensor:
    r"""Return :math:`(P_{t+1} - P_t)\,e_t` with :math:`P_{m+1} = z`, the steps of TD(λ) less their rate.

    Equation (4) of Sutton (1988); temporal_difference:td-lambda in the chapter. Only the last step depends on z.

    Args:
        p: predictions (..., m).
        slopes: their gradients (..., m, d).
        z: the outcome, (...).
        lam: λ, from 0 to 1.

    Returns:
        The increments (..., m, d).

    >>> p, slopes = torch.tensor([0.5, 0.75]), torch.eye(2)
    >>> td_increments(p, slopes, 1.0, lam=0.5).tolist()
    [[0.25, 0.0], [0.125, 0.25]]

    """
    _fit(p, slopes)
    outcome = torch.as_tensor(z, dtype=p.dtype, device=p.device).expand(p.shape[:-1])
    after = torch.cat((p[..., 1:], outcome[..., None]), -1)
    return (after - p)[..., None] * traces(slopes, lam)


def _fit(p: Tensor, slopes: Tensor) -> None:
    if slopes.shape[:-1] != p.shape:
        raise ValueError(
            f"slopes have shape {tuple(slopes.shape)}; for predictions {tuple(p.shape)} it must be {(*p.shape, 'd')}"
        )


class TD:
    """TD(λ) as it happens: one observation at a time, one trace in memory, for any differentiable predictor.

    Predicts the discounted sum of rewards; with γ = 1 and the outcome as the only reward, that is Sutton's z.

    Args:
        net: maps an observation to one number; its trainable parameters are changed in place.
        alpha: the learning rate.
        lam: λ, from 0 to 1.
        gamma: the discount γ.
        online: change the weights at every step. Otherwise increments are summed up and applied at the end of the
            sequence, as in Sutton's experiments.

    Raises:
        ValueError: for a rate, λ or γ out of range, or an end without an observation.

    >>> net = nn.Linear(2, 1, bias=False)
    >>> _ = nn.init.constant_(net.weight, 0.5)
    >>> learner = TD(net, alpha=0.1, lam=1.0)
    >>> for x in torch.eye(2):
    ...     learner.observe(x)
    >>> learner.end(1.0)
    >>> net.weight.tolist()
    [[0.550000011920929, 0.550000011920929]]

    """

    def __init__(self, net: nn.Module, alpha: float, lam: float, gamma: float = 1.0, online: bool = False) -> None:
        if not alpha >= 0 or not 0 <= lam <= 1 or not 0 <= gamma <= 1:
            raise ValueError(f"alpha must not be negative, lam and gamma lie in 0 to 1; got {alpha}, {lam} and {gamma}")
        self.net, self.alpha, self.lam, self.gamma, self.online = net, alpha, lam, gamma, online
        self.weights = [p for p in net.parameters() if p.requires_grad]
        self.last: Tensor | None = None
        self.trace: list[Tensor]
        self.change: list[Tensor]
        self._restart()

    def observe(self, x: Floats, reward: float = 0.0) -> None:
        """Take in the next observation (d,), and the reward that came with it."""
        if self.last is not None:
            self._learn(self.last, reward + self.gamma * self._predict(x).item())
        slopes = torch.autograd.grad(self._predict(x), self.weights)
        self.trace = [self.gamma * self.lam * e + g for e, g in zip(self.trace, slopes, strict=True)]
        self.last = x

    def end(self, z: float) -> None:
        """Take in the outcome (or the last reward), apply what was summed up, and be ready for another sequence."""
        if self.last is None:
            raise ValueError("end(z) came before any observe(x): a sequence has at least one observation")
        self._learn(self.last, z)
        if not self.online:
            self._apply(self.change)
        self._restart()

    def _restart(self) -> None:
        self.last = None
        self.trace = [torch.zeros_like(p) for p in self.weights]
        self.change = [torch.zeros_like(p) for p in self.weights]

    def _predict(self, x: Tensor) -> Tensor:
        found: Tensor = self.net(x)
        return found.reshape(())

    def _learn(self, last: Tensor, target: float) -> None:
        """Move along the trace by the difference of two predictions that were made with the same weights."""
        step = self.alpha * (target - self._predict(last).item())
        if self.online:
            self._apply([step * e for e in self.trace])
        else:
            self.change = [c + step * e for c, e in zip(self.change, self.trace, strict=True)]

    def _apply(self, change: list[Tensor]) -> None:
        with torch.no_grad():
            for p, c in zip(self.weights, change, strict=True):
                p.add_(c)
