"""What takes longer than a page: Sutton's experiments many times over, a backward pass, poles that fall.

``FIGURES`` holds what Sutton (1988) printed, read off a reproduction of the plots. Each experiment is a function of a
seed that returns its measured quantities; ``RECORDED`` lists them with the seeds and arguments of each profile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workings.temporal_difference.affine import affine_form, backward_pass, limit, one_pass, rms_error
from workings.temporal_difference.chains import Chain, random_walk
from workings.temporal_difference.pole import first_states, learn_to_predict, true_values
from workings.temporal_difference.sequences import Sequences

# Sutton (1988), figures 3 (in the version of the erratum, as far as we can tell), 4 and 5, digitized from a scan:
# within 0.001 for figures 3 and 5, 0.003 for figure 4
FIGURE_3 = {0.0: 0.1893, 0.1: 0.1898, 0.3: 0.1906, 0.5: 0.1937, 0.7: 0.1995, 0.9: 0.2177, 1.0: 0.2465}
FIGURE_4 = {
    0.0: [0.236, 0.203, 0.176, 0.151, 0.131, 0.120, 0.115, 0.120, 0.143, 0.188, 0.260, 0.366, 0.525],
    0.3: [0.236, 0.190, 0.169, 0.140, 0.122, 0.110, 0.105, 0.109, 0.120, 0.139, 0.163, 0.201, 0.247],
    0.8: [0.236, 0.186, 0.157, 0.147, 0.147, 0.161, 0.184, 0.211, 0.240, 0.273, 0.313, 0.364, 0.431],
    1.0: [0.236, 0.204, 0.221, 0.262, 0.315, 0.380, 0.455, 0.554, 0.688],
}
FIGURE_5 = [0.114, 0.108, 0.105, 0.105, 0.108, 0.113, 0.120, 0.130, 0.146, 0.1685, 0.204]  # λ = 0, 0.1, ..., 1
READING = 0.001  # how well figures 3 and 5 can be read
LAMS = tuple(i / 10 for i in range(11))
RATES = tuple(i / 20 for i in range(13))
TESTED = (0, 5, 10)  # indices in LAMS of what is compared: λ = 0, ½, 1
SETS = 100  # training sets behind each point of a figure


@dataclass(frozen=True)
class Experiment:
    """Errors of one run, a column for each training set.

    Attributes:
        settled: after repeated presentations, for λ in `LAMS`, (11, sets); figure 3.
        passed: after one pass, for λ in `LAMS` and α in `RATES`, (11, 13, sets); figures 4 and 5.
        singular: sets that miss a state, (sets,).

    """

    settled: Tensor
    passed: Tensor
    singular: Tensor

    def figures(self, sets: int = SETS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return figures 3 (r, 11), 4 (r, 11, 13) and 5 (r, 11) of each group of ``sets`` training sets."""
        three = self.settled.unflatten(-1, (-1, sets)).mean(-1).movedim(-1, 0)
        four = self.passed.unflatten(-1, (-1, sets)).mean(-1).movedim(-1, 0)
        return three.cpu().numpy(), four.cpu().numpy(), four.amin(-1).cpu().numpy()


def run_experiment(walks: Sequences, chain: Chain, chunk: int = 5000) -> Experiment:
    """Run both of Sutton's experiments on training sets ``walks`` (sets, n), a chunk of sets at a time."""
    values, found = chain.values(), []
    lams, rates = (torch.tensor(v, dtype=values.dtype, device=values.device) for v in (LAMS, RATES))
    for i in range(0, walks.shape[0], chunk):
        a, b = affine_form(walks[i : i + chunk], lams)
        w, singular = limit(a, b, 0.5)
        passed = rms_error(one_pass(a, b, rates, 0.5), values)
        found.append((rms_error(w, values), passed.transpose(1, 2), singular.any(0)))
    return Experiment(*(torch.cat(parts, -1) for parts in zip(*found, strict=True)))


def misfit(printed: Sequence[float], means: np.ndarray, covariance: np.ndarray, reading: float = READING) -> float:
    r"""Return :math:`\chi^2` of printed values, given mean and covariance of what 100 sets give.

    Equation temporal_difference:misfit of the chapter; ``reading`` is how well a plot can be read.
    """
    off = np.asarray(printed) - means
    return float(off @ np.linalg.solve(covariance + reading**2 * np.eye(len(off)), off))


def printed_points() -> dict[str, list[float]]:
    """Return the printed values at λ = 0, ½ and 1 of figures 3 and 5."""
    return {"three": [FIGURE_3[LAMS[i]] for i in TESTED], "five": [FIGURE_5[i] for i in TESTED]}


def sizes(seed: int, device: torch.device, counts: list[int], replicates: int) -> dict[str, Any]:
    """Run Sutton's experiments with sets of other sizes; return means and covariances over whole replicates.

    For each number of sequences a set: the mean of figures 3 and 5 over replicates of 100 sets (11 values each), their
    covariance at λ = 0, ½, 1 (9 numbers, row by row), the share of singular sets, and those of replicates in which
    λ = 0.3 is best and λ = 1 is worst.

    """
    chain, generator = random_walk().to(device), torch.Generator().manual_seed(seed)
    found: dict[str, Any] = {"singular": [], "best_at_0.3": [], "worst_at_1": []}
    for count in counts:
        run = run_experiment(chain.sample(replicates * SETS, count, generator=generator), chain)
        three, _, five = run.figures()
        for name, values in (("three", three), ("five", five)):
            found[f"{name}_{count}"] = values.mean(0).tolist()
            found[f"{name}_{count}_covariance"] = np.cov(values[:, TESTED].T).flatten().tolist()
        found["singular"].append(float(run.singular.double().mean()))
        found["best_at_0.3"].append(float((five.argmin(1) == 3).mean()))
        found["worst_at_1"].append(float((three.argmax(1) == 10).mean()))
    return found


def evidence(values: Mapping[str, np.ndarray], count: int) -> dict[str, float]:
    """Return χ² of figures 3 and 5 for ``count`` sequences a set, from the arrays of the record ``sizes``."""
    found = {}
    for name, printed in printed_points().items():
        means = values[f"{name}_{count}"].mean(0)[list(TESTED)]
        covariance = values[f"{name}_{count}_covariance"].mean(0).reshape(3, 3)
        found[name] = misfit(printed, means, covariance)
    return found


def backwards(seed: int, device: torch.device, counts: list[int], sets: int) -> dict[str, Any]:
    """Return errors at the best rate, for each λ, of one pass forwards and one backwards over the same sets.

    For each number of walks a set, 11 values each, and the rate that was best.
    """
    chain, generator = random_walk().to(device), torch.Generator().manual_seed(seed)
    lams, rates = (torch.tensor(v, dtype=torch.float64, device=device) for v in (LAMS, RATES))
    found: dict[str, Any] = {}
    for count in counts:
        walks = chain.sample(sets, count, generator=generator)
        ways = {
            "forwards": one_pass(*affine_form(walks, lams), rates, 0.5),
            "backwards": backward_pass(walks, lams, rates, 0.5),
        }
        for name, w in ways.items():
            error = rms_error(w, chain.values()).mean(1)  # (11, 13)
            found[f"{name}_{count}"] = error.amin(1).tolist()
            found[f"{name}_{count}_rate"] = [RATES[int(i)] for i in error.argmin(1)]
    return found


def poles(
    seed: int,
    device: torch.device,
    lams: list[float],
    number: int,
    presentations: int,
    every: int,
    tries: int,
    longest: int,
) -> dict[str, Any]:
    """Return the errors of networks that predict how long poles stand, relative to the spread of what is true.

    For each λ a curve over presentations; ``constant`` is the error of the mean of what was true, one by construction.
    """
    gamma, judged = 0.97, first_states(200, torch.Generator().manual_seed(10_000))  # the same for all seeds
    true = true_values(judged, gamma, tries, longest, generator=torch.Generator().manual_seed(10_001))
    p = learn_to_predict(
        lams, judged, poles=number, presentations=presentations, every=every, gamma=gamma, longest=longest,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    error = (p - true).square().mean(-1).sqrt() / true.std(correction=0)
    return {f"{lam:g}": error[:, i].tolist() for i, lam in enumerate(lams)}


def replicate(
    count: int, replicates: int, seed: int, device: torch.device, each: Callable[[Iterable[int]], Iterable[int]] = iter
) -> Experiment:
    """Run Sutton's experiments on ``replicates`` times 100 sets of ``count`` walks, in pieces that fit a device."""
    chain, found = random_walk().to(device), []
    generator = torch.Generator().manual_seed(seed)
    for first in each(range(0, replicates, 200)):
        walks = chain.sample(min(200, replicates - first) * SETS, count, generator=generator)
        run = run_experiment(walks, chain, chunk=20_000 if device.type == "cuda" else 2000)
        found.append((run.settled, run.passed, run.singular))
    return Experiment(*(torch.cat(parts, -1) for parts in zip(*found, strict=True)))


RECORDED: dict[str, dict[str, Any]] = {
    "sizes": {
        "run": sizes,
        "seeds": range(8),
        "profiles": {
            "quick": {"counts": [5, 10], "replicates": 4},
            "default": {"counts": [3, 4, 5, 6, 7, 8, 10, 12], "replicates": 50},
            "full": {"counts": [3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "replicates": 1000},
        },
    },
    "backwards": {
        "run": backwards,
        "seeds": range(8),
        "profiles": {"quick": {"counts": [2, 3], "sets": 20}, "default": {"counts": [1, 2, 5, 10], "sets": 500}},
    },
    "poles": {
        "run": poles,
        "seeds": range(10),
        "profiles": {
            "quick": {"lams": [0.3, 1.0], "number": 5, "presentations": 2, "every": 1, "tries": 5, "longest": 30},
            "default": {
                "lams": [0.0, 0.3, 0.6, 0.9, 1.0], "number": 100, "presentations": 300, "every": 10, "tries": 500,
                "longest": 300,
            },
        },
    },
}  # fmt: skip
