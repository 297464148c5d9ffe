"""`workings.implicit_reparameterization` beside torch, TensorFlow Probability on JAX, and rs-distributions.

    python benchmarks/bench_implicit_reparameterization.py [--quick] [--write]

Accuracy: derivatives of samples against 40 digits, at the samples as stored. Throughput: samples with gradients, a
second, on one core. Peers are taken along where they are installed: ``pip install --no-deps jax==0.4.35 jaxlib==0.4.35
ml_dtypes opt_einsum tensorflow-probability==0.25.0 dm-tree absl-py attrs wrapt six decorator cloudpickle gast
rs-distributions==0.0.4``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import timing
import torch
from scipy import special, stats
from timing import Row, Tables, interleaved
from torch.distributions import Categorical
from torch.distributions import Normal as TorchNormal

import workings.implicit_reparameterization as ours

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
import implicit_references as references

PEER_PACKAGES = ("jax", "tensorflow-probability", "rs-distributions", "scipy")
TFP = find_spec("tensorflow_probability") is not None and find_spec("jax") is not None
RS = find_spec("rs_distributions") is not None
KIND = {"float32": torch.float32, "float64": torch.float64}
Array = Any


def jax_tfp() -> tuple[Any, Any]:
    """JAX with 64 bits, and TensorFlow Probability on it."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from tensorflow_probability.substrates import jax as tfp

    return jax, tfp


# ---- accuracy ------------------------------------------------------------------------------------------------------


def by_differences(
    cdf: Callable[[Array, Array], Array], density: Callable[[Array, Array], Array]
) -> Callable[..., Array]:
    """Implicit with SciPy's distribution function differentiated by central differences of the usual step."""

    def derivative(parameter: Array, z: Array) -> Array:
        step = np.cbrt(np.finfo(np.float64).eps) * parameter
        slope = (cdf(parameter + step, z) - cdf(parameter - step, z)) / (2 * step)
        return -slope / density(parameter, z)

    return derivative


def torch_gamma(alpha: Array, z: Array) -> Array:
    """torch's own operator, which its Gamma.rsample uses."""
    return torch._standard_gamma_grad(torch.from_numpy(alpha), torch.from_numpy(z)).numpy()


def jax_gamma(alpha: Array, z: Array) -> Array:
    jax, _ = jax_tfp()
    return np.asarray(jax.lax.random_gamma_grad(alpha, z))


def tfp_von_mises(kappa: Array, z: Array) -> Array:
    jax, tfp = jax_tfp()
    from tensorflow_probability.substrates.jax.distributions.von_mises import von_mises_cdf

    slope = jax.vmap(jax.grad(lambda k, x: von_mises_cdf(x, k)))(kappa, z)
    return np.asarray(-slope / tfp.distributions.VonMises(np.zeros_like(kappa), kappa).prob(z))


def our(function: Callable[..., torch.Tensor]) -> Callable[..., Array]:
    """Our derivative at a parameter and a sample, rounded to the dtype of the sample, as `rsample` does."""

    def derivative(parameter: Array, z: Array) -> Array:
        x = torch.from_numpy(z)
        return function(torch.from_numpy(parameter), x).to(x.dtype).numpy()

    return derivative


GAMMA = stats.gamma
DERIVATIVES: dict[str, dict[str, Callable[..., Array]]] = {
    "gamma": {
        "workings": our(lambda a, z: ours.gamma_gradient(a, z) * z.double()),
        "torch": torch_gamma,
        "differences": by_differences(special.gammainc, lambda a, z: GAMMA.pdf(z, a)),
    },
    "von Mises": {
        "workings": our(ours.von_mises_gradient),
        "differences": by_differences(lambda k, z: stats.vonmises.cdf(z, k), lambda k, z: stats.vonmises.pdf(z, k)),
    },
}
if TFP:
    DERIVATIVES["gamma"]["JAX"] = jax_gamma
    DERIVATIVES["von Mises"]["TFP on JAX"] = tfp_von_mises
REFERENCES = {
    "gamma": references.gamma,
    "von Mises": lambda k, z: references.von_mises(k, abs(z)) * (1 if z > 0 else -1),
}
RANGES = {"gamma": (-2.0, 5.0), "von Mises": (-3.0, 4.0)}


def points(name: str, n: int) -> tuple[Array, Array]:
    """Parameters, log-uniform, and samples at levels from 1e-4 to 1 - 1e-4, as often near one end as near the other."""
    rng = np.random.default_rng(0)
    parameter = 10 ** rng.uniform(*RANGES[name], n)
    near = 10 ** rng.uniform(-4, np.log10(0.5), n)
    level = np.where(rng.random(n) < 0.5, near, 1 - near)
    z = GAMMA.ppf(level, parameter) if name == "gamma" else stats.vonmises.ppf(level, parameter)
    stored = np.abs(z) > 1e-30  # float32 holds it
    return parameter[stored], z[stored]


def accuracy(name: str, n: int) -> Iterator[Row]:
    """Mean and largest error of each derivative, relative to |∂z/∂φ| + |z/φ|/1000."""
    for precision in KIND:
        parameter, z = (values.astype(precision) for values in points(name, n))
        true = [REFERENCES[name](float(p), float(x)) for p, x in zip(parameter, z, strict=True)]
        for contender, derivative in DERIVATIVES[name].items():
            found = derivative(parameter, z)
            errors = [abs(mp.mpf(float(f)) - t) for f, t in zip(found, true, strict=True)]
            scale = [abs(t) + abs(mp.mpf(float(x / p))) / 1000 for t, x, p in zip(true, z, parameter, strict=True)]
            relative = [float(e / s) for e, s in zip(errors, scale, strict=True)]
            yield {
                "problem": f"{name}, {precision}", "contender": contender, "points": len(z),
                "mean error": float(sum(errors) / len(errors)), "median relative": float(np.median(relative)),
                "largest relative": max(relative),
            }  # fmt: skip


# ---- throughput ----------------------------------------------------------------------------------------------------


def through(make: Callable[..., Any], values: list[Any], kind: torch.dtype, n: int) -> Callable[[], object]:
    """Draw ``n`` samples and pull a gradient through them to every parameter."""

    def run() -> None:
        parameters = [torch.tensor(v, dtype=kind, requires_grad=True) for v in values]
        make(*parameters).rsample((n,)).sum().backward()

    return run


def drawn(make: Callable[..., Any], values: list[Any], kind: torch.dtype, n: int) -> Callable[[], object]:
    """Draw ``n`` samples."""
    distribution = make(*(torch.tensor(v, dtype=kind) for v in values))
    return lambda: distribution.sample((n,))


def by_tfp(make: Callable[..., Any], values: list[Any], precision: str, n: int) -> Callable[[], object]:
    """The same in TensorFlow Probability, compiled."""
    jax, tfp = jax_tfp()
    key = jax.random.PRNGKey(0)

    def total(*parameters: Array) -> Array:
        return make(tfp.distributions, *parameters).sample(n, seed=key).sum()

    compiled = jax.jit(jax.grad(total, argnums=tuple(range(len(values)))))
    arguments = [np.asarray(v, dtype=precision) for v in values]
    return lambda: jax.block_until_ready(compiled(*arguments))


def mixture(family: Any, logits: Any, locs: Any, scales: Any) -> Any:
    return family(Categorical(logits=logits), TorchNormal(locs, scales))


def tfp_mixture(tfd: Any, logits: Any, locs: Any, scales: Any) -> Any:
    return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), tfd.Normal(locs, scales), reparameterize=True)


THREE = [[0.1, -0.2, 0.3], [-1.0, 0.5, 2.0], [0.5, 1.0, 0.7]]
# name → parameters, ours, torch's, TFP's
SAMPLERS: dict[str, tuple[list[Any], Callable[..., Any], Callable[..., Any] | None, Callable[..., Any] | None]] = {
    "normal": ([0.3, 1.4], ours.Normal, TorchNormal, lambda tfd, m, s: tfd.Normal(m, s)),
    "gamma 0.3": ([0.3, 1.0], ours.Gamma, torch.distributions.Gamma, lambda tfd, a, b: tfd.Gamma(a, b)),
    "gamma 3": ([3.0, 1.0], ours.Gamma, torch.distributions.Gamma, lambda tfd, a, b: tfd.Gamma(a, b)),
    "gamma 100": ([100.0, 1.0], ours.Gamma, torch.distributions.Gamma, lambda tfd, a, b: tfd.Gamma(a, b)),
    "beta": ([2.0, 3.0], ours.Beta, torch.distributions.Beta, lambda tfd, a, b: tfd.Beta(a, b)),
    "von Mises": ([0.4, 2.0], ours.VonMises, None, lambda tfd, m, k: tfd.VonMises(m, k)),
    "mixture of 3": (THREE, partial(mixture, ours.MixtureSameFamily), None, tfp_mixture),
    "truncated normal": (
        [0.3, 1.2, -1.0, 1.0], ours.TruncatedNormal, None, lambda tfd, *p: tfd.TruncatedNormal(*p),
    ),
    "Rice": ([1.3, 0.7], ours.Rice, None, None),
}  # fmt: skip


def throughput(name: str, n: int, rounds: int) -> Iterator[Row]:
    """Millions of samples with gradients a second."""
    values, make, torchs, tfps = SAMPLERS[name]
    for precision, kind in KIND.items():
        runs = {"workings": through(make, values, kind, n)}
        if torchs is not None:
            runs["torch"] = through(torchs, values, kind, n)
        if tfps is not None and TFP:
            runs["TFP on JAX"] = by_tfp(tfps, values, precision, n)
        if name == "Rice" and RS:
            from rs_distributions.distributions import Rice

            runs["rs-distributions"] = through(Rice, values, kind, n)
        yield from _rates(f"{name}, {precision}", interleaved(runs, rounds), n)


def sampling(n: int, rounds: int) -> Iterator[Row]:
    """Millions of von Mises samples a second, without gradients."""
    for kappa in (0.1, 2.0, 100.0):
        for precision, kind in KIND.items():
            both = {"workings": ours.VonMises, "torch": torch.distributions.VonMises}
            runs = {name: drawn(make, [0.4, kappa], kind, n) for name, make in both.items()}
            yield from _rates(f"von Mises κ = {kappa:g}, {precision}", interleaved(runs, rounds), n)


def _rates(problem: str, seconds: dict[str, float], n: int) -> Iterator[Row]:
    for contender, time in seconds.items():
        yield {
            "problem": problem, "contender": contender, "million a second": n / time / 1e6,
            "times workings": time / seconds["workings"],
        }  # fmt: skip


# ---- the command ---------------------------------------------------------------------------------------------------


def run(quick: bool) -> Tables:
    """Measure everything; ``quick`` uses toy sizes, to see that it runs. Returns the rows of each table."""
    torch.set_num_threads(1)
    rounds, n, grid = (1, 200, 6) if quick else (7, 100_000, 300)
    return {
        "accuracy": [row for name in DERIVATIVES for row in accuracy(name, grid)],
        "throughput": [row for name in SAMPLERS for row in throughput(name, n, rounds)],
        "sampling": list(sampling(n, rounds)),
    }


def store(tables: Tables) -> None:
    """Write the tables as records of the chapter."""
    names = ("Gamma", "Beta", "VonMises", "MixtureSameFamily", "TruncatedNormal", "Rice")
    timing.store("implicit_reparameterization", names, tables, PEER_PACKAGES)


if __name__ == "__main__":
    timing.command(__doc__, run, store)
