"""The systems and experiments that the chapter shows: closed forms where there are any, quick runs of the rest."""

import math

import pytest
import sympy
import torch
from scipy.integrate import dblquad
from sympy.parsing.latex import parse_latex

from workings.book.ledger import checks_of
from workings.neural_ode import examples, experiments

CPU = torch.device("cpu")
TIMES = (0.0, 1.0, 2.0, 3.0)
START = torch.tensor([1.2, 0.0], dtype=torch.float64)


def test_angle_cost_is_half_the_square_of_the_angle() -> None:
    states = torch.tensor([[1.2, 5.0], [-2.0, 7.0]])
    assert examples.angle_cost(states).item() == pytest.approx(0.5 * (1.44 + 4.0))


def test_adjoint_path_is_what_pushing_measures() -> None:
    pendulum = examples.Pendulum()
    t, a = examples.adjoint_path(pendulum, START, TIMES, points=5)
    for when in (2.5, 1.5, 0.5, 0.0):
        here = int((t - when).abs().argmin()) if when else -1
        pushed = examples.pushed(pendulum, START, TIMES, float(t[here]))
        torch.testing.assert_close(a[here], pushed, atol=1e-6, rtol=0)


def test_adjoint_path_with_the_slope_set_is_wrong() -> None:
    pendulum = examples.Pendulum()
    right, wrong = (examples.adjoint_path(pendulum, START, TIMES, replace=r)[1][-1] for r in (False, True))
    assert (right - wrong).norm() > 0.3


def test_pendulum_keeps_its_energy_without_damping() -> None:
    state = torch.tensor([0.7, -0.3], dtype=torch.float64)
    velocity = examples.Pendulum(stiffness=2.0, damping=0.0)(torch.tensor(0.0), state)
    slope = torch.stack((2.0 * torch.sin(state[0]), state[1]))  # of energy, speed²/2 − 2 cos(angle)
    assert abs(float((slope @ velocity).detach())) < 1e-15


@pytest.mark.parametrize("loss", ["running", "terminal"])
def test_decay_truth_is_the_slope_of_the_closed_form(loss: str) -> None:
    def value(rate: float) -> float:
        return math.exp(-rate) if loss == "terminal" else (1 - math.exp(-2 * rate)) / (2 * rate)

    slope = (value(2.0 + 1e-5) - value(2.0 - 1e-5)) / 2e-5
    assert examples.decay_truth(2.0, loss) == pytest.approx(slope, rel=1e-8)
    assert examples.decay_gradient(2.0, "discrete", loss) == pytest.approx(slope, rel=1e-4)


def test_decay_refuses_another_loss() -> None:
    with pytest.raises(ValueError, match="'running' or 'terminal'"):
        examples.decay_gradient(1.0, "discrete", "both")


def test_reconstruction_is_right_for_a_slow_decay_and_lost_for_a_fast_one() -> None:
    for rate, expected in ((5.0, True), (30.0, False)):
        t, forward, back = examples.reconstruction(rate)
        assert forward == pytest.approx([math.exp(-rate * x) for x in t], abs=1e-5)
        assert bool(abs(back[0] - 1) < 1e-3) is expected


def test_numbers_kept_by_each_gradient() -> None:
    field = examples.toy_field().float()
    start = torch.randn(8, 2, generator=torch.Generator().manual_seed(1))
    kept = {g: [examples.numbers_kept(field, start, n, g) for n in (4, 8)] for g in ("backprop", "discrete", "adjoint")}
    assert kept["adjoint"][0] == kept["adjoint"][1]
    per_step = (kept["discrete"][1] - kept["discrete"][0]) / 4
    assert 2 * start.numel() <= per_step <= 5 * start.numel()  # the state and at most the four slopes
    assert (kept["backprop"][1] - kept["backprop"][0]) / 4 > 20 * per_step


def test_gradient_at_tolerances_counts_and_errs() -> None:
    loose, tight = examples.gradient_at_tolerances(examples.toy_field(2.0, width=16), (1e-3, 1e-7))
    assert tight["error"] < 1e-2 * loose["error"]
    assert tight["forward"] > loose["forward"]
    assert tight["discrete"] <= tight["forward"]


def test_circles_density_integrates_to_one() -> None:
    def density(y: float, x: float) -> float:
        return float(experiments.circles_log_density(torch.tensor([x, y], dtype=torch.float64)).exp())

    quarter, _ = dblquad(density, 0, 1.5, 0, 1.5, epsabs=1e-4)
    assert 4 * quarter == pytest.approx(1, abs=1e-3)


def test_circles_entropy_is_the_mean_of_minus_log_p() -> None:
    x = experiments.circles(100_000, torch.Generator().manual_seed(0)).double()
    surprise = -experiments.circles_log_density(x)
    assert experiments.circles_entropy() == pytest.approx(float(surprise.mean()), abs=5 * float(surprise.std()) / 316)


def test_circles_repeat_with_their_generator() -> None:
    first, second, other = (experiments.circles(50, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_gaussian_nll_of_standard_normal_points() -> None:
    x = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(3))
    assert experiments.gaussian_nll(x, x) == pytest.approx(1 + math.log(2 * math.pi), abs=0.02)


def test_spiral_solves_its_equation() -> None:
    t, path = experiments.spiral(2001)
    assert path[0].tolist() == [2.0, 0.0]
    assert float(t[-1]) == 25.0
    slope = (path[2:] - path[:-2]) / (t[2:] - t[:-2])[:, None]
    assert experiments.SPIRAL == ((-0.1, 2.0), (-2.0, -0.1))  # as Chen and colleagues' demo has it
    field = path[1:-1] ** 3 @ torch.tensor(experiments.SPIRAL)
    assert (slope - field).abs().max() < 0.06  # central differences at steps of 1/80, where the field is up to 16


@pytest.mark.parametrize("name", experiments.RECORDED)
def test_quick_profile_of_every_recorded_experiment(name: str) -> None:
    experiment = experiments.RECORDED[name]
    first, again = (experiment["run"](3, device=CPU, **experiment["profiles"]["quick"]) for _ in range(2))
    assert first == again
    assert all(math.isfinite(v) for value in first.values() for v in (value if isinstance(value, list) else [value]))


def test_records_hold_what_was_trained_and_means_of_stretches() -> None:
    flow, forward, _ = experiments.train_circles(3, 6, 16, CPU)
    weights = experiments.circles_weights(3, CPU, steps=6, batch=16)["weights"]
    assert weights == torch.nn.utils.parameters_to_vector(flow.parameters()).tolist()
    means = experiments.circles_likelihood(3, CPU, steps=6, batch=16, every=2)["forward"]
    assert means == [sum(forward[i : i + 2]) / 2 for i in (0, 2, 4)]


def test_training_lowers_the_losses() -> None:
    _, losses = experiments.train_spiral(0, 150, CPU)
    assert sum(losses[-20:]) / 20 < 0.4 * losses[0]
    flow, forward, backward = experiments.train_circles(0, 60, 128, CPU)
    test = experiments.held_out(0, 500)
    with torch.no_grad():
        trained = -float(flow.log_prob(test).mean())
        untrained = -float(experiments.train_circles(0, 0, 128, CPU)[0].log_prob(test).mean())
    assert trained < untrained - 0.2
    assert len(forward) == len(backward) == 60
    assert min(forward) > 6


def test_decay_formulas_as_printed() -> None:
    """Evaluate the LaTeX that the chapter displays: its second line is the slope of the first, and the library's."""
    tex = next(check.tex for check in checks_of("neural_ode") if check.label == "neural_ode:decay-gradient")
    value, slope = (
        parse_latex(line.partition("&=")[2].replace(r"\end{aligned}", "").strip().rstrip(","))
        for line in tex.split(r"\\")
    )
    e, rate = (sympy.Symbol(name) for name in ("e", "lambda"))
    value, slope = value.subs(e, sympy.E), slope.subs(e, sympy.E)
    assert sympy.simplify(sympy.diff(value, rate) - slope) == 0
    for number in (0.3, 4.0, 30.0):
        assert examples.decay_truth(number) == pytest.approx(float(slope.subs(rate, number)), rel=1e-12)
