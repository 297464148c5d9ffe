"""Flow matching on a device."""

from __future__ import annotations

from typing import Any

from device_cases import On, slopes, trained
from workings import flow_matching as fm

PATHS = (fm.ConditionalOT(0.1), fm.VariancePreserving(), fm.VarianceExploding())


def each_path(on: On) -> Any:
    x, x1, t = on(5, 2), on(5, 2), on.uniform(5)
    return [
        (path.mean(t, x1), path.flow(t, x, x1), path.velocity(t, x, x1), *path.sample(t, x, x1),
         path.times(5, x, on.cpu), path.alpha(t), path.sigma(t), path.d_alpha(t), path.d_sigma(t))
        for path in PATHS
    ]  # fmt: skip


def marginal(on: On) -> Any:
    law, t, x = fm.EmpiricalMarginal(PATHS[0], on(6, 2), on.uniform(6)), on.uniform(5), on(5, 2)
    return law.log_prob(t, x), law.denoised(t, x), law.velocity(t, x), law.score(t, x), law.posterior(t, x)


def losses(on: On) -> Any:
    net, x1 = on.module(fm.VelocityMLP(2, (8,))), on(5, 2)
    law = fm.EmpiricalMarginal(PATHS[0], on(6, 2))
    both = fm.conditional_loss(net, PATHS[0], x1, generator=on.cpu), fm.marginal_loss(net, law, on.uniform(5), on(5, 2))
    return both, slopes(both[0] + both[1], *net.parameters())


def learned(on: On) -> Any:
    net = on.module(fm.VelocityMLP(2, (8,)))

    def draw(n: int, generator: Any) -> Any:
        return fm.checkerboard(n, generator).double()

    found = fm.fit(net, PATHS[0], draw, 3, batch=8, pairing=fm.optimal_pairing, device=on.device, generator=on.cpu)
    return found, trained(net)


def solved(on: On) -> Any:
    net, x = on.module(fm.VelocityMLP(2, (8,))), on(4, 2)
    way = fm.generate(net, x, PATHS[1], steps=3, trajectory=True)
    return (
        way,
        fm.straightness(way),
        fm.generate(net, x),
        fm.log_prob(net, x),
        fm.log_prob(net, x, trace="hutchinson", generator=on.cpu),
    )


def pairs(on: On) -> Any:
    x0, x1 = on(70, 2), on(70, 2)
    plan = fm.entropic_plan(x0[:6], x1[:6], 0.5)
    return fm.squared_distances(x0, x1), fm.optimal_pairing(x0, x1), plan, fm.sample_pairs(plan, 4, on.cpu)


CASES = {
    "ConditionalOT GaussianPath Geometric Linear NoiseSchedule VarianceExploding VariancePreserving": each_path,
    "EmpiricalMarginal": marginal,
    "VelocityMLP conditional_loss marginal_loss": losses,
    "fit": learned,
    "generate log_prob straightness": solved,
    "entropic_plan optimal_pairing sample_pairs squared_distances": pairs,
    "convert": lambda on: [
        fm.convert(PATHS[0], on.uniform(5), on(5, 2), on(5, 2), source=a, target=b)
        for a in fm.PREDICTIONS for b in fm.PREDICTIONS
    ],
    "on_checkerboard": lambda on: fm.on_checkerboard(3 * on(50, 2)),
}  # fmt: skip
CPU_ONLY = {"checkerboard", "digits", "eight_gaussians", "mnist", "two_moons"}  # data, which a generator draws
