r"""What a network may predict on a Gaussian path, and how one prediction becomes another.

At a point :math:`x = \sigma_t x_0 + \alpha_t x_1` the velocity, the score, the noise and the data point, each averaged
over the posterior, say the same thing in four ways:

.. math:: x = \alpha D + \sigma N, \qquad v = \dot\alpha D + \dot\sigma N, \qquad s = \nabla \log p_t(x) = -N / \sigma
"""

from __future__ import annotations

from torch import Tensor

from workings.flow_matching.paths import GaussianPath, column, same_shape

PREDICTIONS = ("velocity", "score", "noise", "data")


def convert(path: GaussianPath, t: Tensor, x: Tensor, value: Tensor, *, source: str, target: str) -> Tensor:
    r"""Turn one kind of prediction at (t, x) into another.

    Args:
        path: the path on which it was made.
        t: times, 0-dim or a shape with which that of ``x`` begins.
        x: points, shape (..., d).
        value: the prediction, shaped like ``x``.
        source: what ``value`` is: "velocity", "score" (:math:`\nabla_x \log p_t`), "noise" (:math:`E[x_0 \mid x]`) or
            "data" (:math:`E[x_1 \mid x]`).
        target: what to return.

    Returns:
        The other prediction, shaped like ``x``.

    Raises:
        ValueError: for an unknown kind, other shapes, or where one cannot be told from the other: at an end where the
            point is nothing but noise, or nothing but data.

    >>> import torch
    >>> from workings.flow_matching import ConditionalOT
    >>> x, v = torch.tensor([1.0]), torch.tensor([2.0])  # at t = 1/4 the data point is x + 3/4 v
    >>> convert(ConditionalOT(), torch.tensor(0.25), x, v, source="velocity", target="data").tolist()
    [2.5]

    """
    for name, kind in (("source", source), ("target", target)):
        if kind not in PREDICTIONS:
            raise ValueError(f"{name} must be one of {', '.join(PREDICTIONS)}; got {kind!r}")
    same_shape("value", value, "x", x)
    if source == target:
        return value
    s = column(t, x)
    alpha, sigma, d_alpha, d_sigma = path.alpha(s), path.sigma(s), path.d_alpha(s), path.d_sigma(s)

    def divided(numerator: Tensor, by: Tensor) -> Tensor:
        if not (by != 0).all():
            raise ValueError(f"at t={s[by == 0][0].item():g} on {path} the {target} does not follow from the {source}")
        return numerator / by

    if source == "velocity":  # both equations together
        determinant = d_alpha * sigma - alpha * d_sigma
        data = divided(sigma * value - d_sigma * x, determinant)
        noise = divided(d_alpha * x - alpha * value, determinant)
    elif source == "data":
        data, noise = value, value if target == "data" else divided(x - alpha * value, sigma)
    else:
        noise = value if source == "noise" else -sigma * value
        data = noise if target in ("noise", "score") else divided(x - sigma * noise, alpha)
    if target == "velocity":
        return d_alpha * data + d_sigma * noise
    if target == "score":
        return divided(-noise, sigma)
    return data if target == "data" else noise
