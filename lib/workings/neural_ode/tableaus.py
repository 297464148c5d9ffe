"""Runge–Kutta methods as data: a method is its tableau, and `METHODS` is the one registry."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

Number = int | float | Fraction
Q = Fraction
Row = tuple[Number, ...]


@dataclass(frozen=True)
class Tableau:
    r"""An explicit Runge–Kutta method with :math:`s` stages.

    .. math::
        k_i = f\Big(t + c_i h,\; y + h \sum_{j<i} a_{ij} k_j\Big), \qquad
        y(t + \vartheta h) \approx y + h \sum_i b_i(\vartheta)\, k_i, \qquad b_i(1) = b_i .

    Args:
        name: what `odeint` calls it.
        order: the order :math:`p` of the solution that is carried on: the global error is :math:`O(h^p)`.
        a: the strictly lower triangle, row :math:`i` with :math:`i` entries.
        b: the weights of the solution.
        c: the nodes.
        b_error: :math:`b - \hat b`, the weights of the embedded error estimate; empty without one.
        dense: row :math:`i` holds the coefficients of :math:`\vartheta, \vartheta^2, \dots` in
            :math:`b_i(\vartheta)`; empty where every output time ends a step.

    """

    name: str
    order: int
    a: tuple[Row, ...]
    b: Row
    c: Row
    b_error: Row = ()
    dense: tuple[Row, ...] = ()

    @property
    def stages(self) -> int:
        """The number of stages."""
        return len(self.b)

    @property
    def adaptive(self) -> bool:
        """Whether the method estimates its own error."""
        return bool(self.b_error)

    @property
    def first_same_as_last(self) -> bool:
        """Whether the last stage is taken at the new point, so that its slope serves as the next step's first."""
        return self.b[-1] == 0 and self.a[-1] == self.b[:-1]

    def weights(self, theta: float) -> list[float]:
        r"""Return :math:`b_i(\vartheta)`, the weights of the solution at the fraction ``theta`` of a step.

        >>> [round(b, 6) for b in METHODS["bosh3"].weights(0.5)]
        [0.236111, 0.166667, 0.222222, -0.125]
        """
        if theta == 1.0:
            return [float(b) for b in self.b]
        return [sum(float(p) * theta**n for n, p in enumerate(row, start=1)) for row in self.dense]


def _polynomial(*factors: Row) -> Row:
    """Multiply polynomials, each given by its coefficients from the constant up, and drop the constant term (0)."""
    product: list[Number] = [1]
    for factor in factors:
        longer: list[Number] = [0] * (len(product) + len(factor) - 1)
        for i, p in enumerate(product):
            for j, q in enumerate(factor):
                longer[i + j] += p * q
        product = longer
    return tuple(product[1:])


EULER = Tableau("euler", 1, a=((),), b=(1,), c=(0,))

MIDPOINT = Tableau("midpoint", 2, a=((), (Q(1, 2),)), b=(0, 1), c=(0, Q(1, 2)))

# the classical method of Kutta (1901), not the 3/8 rule that torchdiffeq calls rk4
RK4 = Tableau(
    "rk4",
    4,
    a=((), (Q(1, 2),), (0, Q(1, 2)), (0, 0, 1)),
    b=(Q(1, 6), Q(1, 3), Q(1, 3), Q(1, 6)),
    c=(0, Q(1, 2), Q(1, 2), 1),
)

# Bogacki & Shampine (1989); the dense output is the cubic Hermite interpolant of both ends
BOSH3 = Tableau(
    "bosh3",
    3,
    a=((), (Q(1, 2),), (0, Q(3, 4)), (Q(2, 9), Q(1, 3), Q(4, 9))),
    b=(Q(2, 9), Q(1, 3), Q(4, 9), 0),
    c=(0, Q(1, 2), Q(3, 4), 1),
    b_error=(Q(-5, 72), Q(1, 12), Q(1, 9), Q(-1, 8)),
    dense=(
        (1, Q(-4, 3), Q(5, 9)),
        (0, 1, Q(-2, 3)),
        (0, Q(4, 3), Q(-8, 9)),
        (0, -1, 1),
    ),
)

# Dormand & Prince (1980); dense output of fourth order by Shampine (1986), as in Hairer's DOPRI5
DOPRI5 = Tableau(
    "dopri5",
    5,
    a=(
        (),
        (Q(1, 5),),
        (Q(3, 40), Q(9, 40)),
        (Q(44, 45), Q(-56, 15), Q(32, 9)),
        (Q(19372, 6561), Q(-25360, 2187), Q(64448, 6561), Q(-212, 729)),
        (Q(9017, 3168), Q(-355, 33), Q(46732, 5247), Q(49, 176), Q(-5103, 18656)),
        (Q(35, 384), 0, Q(500, 1113), Q(125, 192), Q(-2187, 6784), Q(11, 84)),
    ),
    b=(Q(35, 384), 0, Q(500, 1113), Q(125, 192), Q(-2187, 6784), Q(11, 84), 0),
    c=(0, Q(1, 5), Q(3, 10), Q(4, 5), Q(8, 9), 1, 1),
    b_error=(
        Q(71, 57600),
        0,
        Q(-71, 16695),
        Q(71, 1920),
        Q(-17253, 339200),
        Q(22, 525),
        Q(-1, 40),
    ),
    dense=(
        (1, Q(-8048581381, 2820520608), Q(8663915743, 2820520608), Q(-12715105075, 11282082432)),
        (0, 0, 0, 0),
        (
            0,
            Q(131558114200, 32700410799),
            Q(-68118460800, 10900136933),
            Q(87487479700, 32700410799),
        ),
        (0, Q(-1754552775, 470086768), Q(14199869525, 1410260304), Q(-10690763975, 1880347072)),
        (
            0,
            Q(127303824393, 49829197408),
            Q(-318862633887, 49829197408),
            Q(701980252875, 199316789632),
        ),
        (0, Q(-282668133, 205662961), Q(2019193451, 616988883), Q(-1453857185, 822651844)),
        (0, Q(40617522, 29380423), Q(-110615467, 29380423), Q(69997945, 29380423)),
    ),
)

# Tsitouras (2011), with his own interpolant of fourth order, printed there in factors
TSIT5 = Tableau(
    "tsit5",
    5,
    a=(
        (),
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774),
    ),
    b=(0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0),
    c=(0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1),
    b_error=(
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        Q(1, 66),
    ),
    dense=(
        _polynomial((0, -1.0530884977290216), (-1.3299890189751412, 1), (0.7139816917074209, -1.4364028541716351, 1)),
        _polynomial((0, 0, 0.1017), (1.2949852507374631, -2.1966568338249754, 1)),
        _polynomial((0, 0, 2.490627285651252793), (1.57803468208092486, -2.38535645472061657, 1)),
        _polynomial((0, 0, -16.54810288924490272), (-1.21712927295533244, 1), (-0.61620406037800089, 1)),
        _polynomial((0, 0, 47.37952196281928122), (-1.203071208372362603, 1), (-0.658047292653547382, 1)),
        _polynomial((0, 0, -34.87065786149660974), (-1.2, 1), (Q(-2, 3), 1)),
        _polynomial((0, 0, 2.5), (-1, 1), (-0.6, 1)),
    ),
)

METHODS: dict[str, Tableau] = {m.name: m for m in (EULER, MIDPOINT, RK4, BOSH3, DOPRI5, TSIT5)}
