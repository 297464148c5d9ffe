"""Errors planted by hand in `workings.flow_matching`: (file, find, replace, why); each must turn a test red."""

F = "flow_matching/"
P, M, L, C, V, S, T = (F + f"{name}.py" for name in (
    "paths", "marginal", "losses", "couplings", "conversions", "sampling", "training",
))  # fmt: skip

MUTANTS = [
    # the paths
    (
        P,
        "self.d_sigma(t) / sigma * (x - self.alpha(t) * x1) + self.d_alpha(t) * x1",
        "self.d_sigma(t) / sigma * (x - self.alpha(t) * x1)",
        "the moving mean",
    ),
    (P, "self.d_sigma(t) / sigma * (x - self.alpha(t) * x1)", "self.d_sigma(t) / sigma * x", "x for x - mu"),
    (P, "self.d_sigma(t) / sigma *", "-self.d_sigma(t) / sigma *", "the sign of theorem 3"),
    (
        P,
        "self.d_sigma(t) * x0 + self.d_alpha(t) * x1",
        "self.d_alpha(t) * x1 - x0",
        "rectified flow's target on every path",
    ),
    (
        P,
        "self.d_sigma(t) * x0 + self.d_alpha(t) * x1",
        "self.d_sigma(t) * x1 + self.d_alpha(t) * x0",
        "noise and data exchanged",
    ),
    (P, "return self.schedule(1 - t)", "return self.schedule(t)", "an exploding path that runs backwards"),
    (P, "-self.schedule.slope(1 - t)", "self.schedule.slope(1 - t)", "a prime that means d/dt"),
    (P, "-self.schedule.slope(1 - t)", "-self.schedule.slope(t)", "a slope at the wrong time"),
    (P, "self.beta_min * s + 0.5 *", "self.beta_min * s +", "the half of the integrated beta"),
    (P, "0.5 * self._beta(t) * self.alpha(t)", "self._beta(t) * self.alpha(t)", "the half of alpha's slope"),
    (P, "-0.5 * self._beta(t) * torch.exp", "0.5 * self._beta(t) * torch.exp", "the sign of sigma's slope"),
    (P, "torch.sqrt(-torch.expm1(-self._integral(t)))", "-torch.expm1(-self._integral(t))", "variance for deviation"),
    (P, "(self.beta_max - self.beta_min) * (1 - t)", "(self.beta_max - self.beta_min) * t", "beta at the wrong time"),
    (P, "1 - (1 - self.sigma_min) * t", "1 - t", "sigma_min lost"),
    (P, "torch.full_like(t, -(1 - self.sigma_min))", "torch.full_like(t, -1.0)", "sigma_min lost in the slope"),
    (P, "return self.last * torch.rand", "return torch.rand", "times in the singular end"),
    (P, "1.0 - EPSILON", "1.0", "no stop before the singular end"),
    # the marginal
    (M, "- distance / (2 * sigma**2)", "- distance / sigma**2", "the half in the exponent"),
    (M, "self.log_weights[which] - distance", "-distance", "the prior weights"),
    (
        M,
        "log_sum - x.shape[-1] * (torch.log(sigma)",
        "log_sum - (torch.log(sigma)",
        "the dimension in the normalization",
    ),
    (M, "mean = shrink * mean + weights", "mean = mean + weights", "blocks of different scale"),
    (M, "total = shrink * total + weights", "total = total + weights", "blocks of different scale"),
    (
        M,
        "(self.path.alpha(s) * self.denoised(t, x) - x)",
        "(x - self.path.alpha(s) * self.denoised(t, x))",
        "the sign of the score",
    ),
    (M, "/ self.path.sigma(s) ** 2", "/ self.path.sigma(s)", "the score's variance"),
    (M, "torch.log(weights[seen] / weights.sum())", "torch.log(weights[seen])", "weights that do not sum to one"),
    # losses, conversions
    (L, "(v - u).square().sum() / len(v)", "(v - u).square().mean()", "a mean over dimensions"),
    (
        V,
        "divided(sigma * value - d_sigma * x, determinant)",
        "divided(sigma * value + d_sigma * x, determinant)",
        "a sign in the data",
    ),
    (
        V,
        "divided(d_alpha * x - alpha * value, determinant)",
        "divided(alpha * value - d_alpha * x, determinant)",
        "a sign in the noise",
    ),
    (V, "-sigma * value", "sigma * value", "the sign of the score"),
    (V, "return divided(-noise, sigma)", "return divided(-noise, sigma**2)", "the score's scale"),
    # couplings
    (
        C,
        "cost.sub_(low + unit * f.double()).sub_(unit * g.double())",
        "cost.sub_(unit * (f * g).double())",
        "a reduction that moves the optimum",
    ),
    (C, "alpha=-2)", "alpha=-1)", "the cross term"),
    (C, "linear_sum_assignment(cost.numpy())[1]", "linear_sum_assignment(-cost.numpy())[1]", "the dearest pairing"),
    (C, "0, keepdim=True) + math.log(m))", "0, keepdim=True))", "the columns' sums"),
    (
        C,
        "drawn // plan.shape[1], drawn % plan.shape[1]",
        "drawn // plan.shape[0], drawn % plan.shape[0]",
        "rows for columns",
    ),
    # sampling, training
    (S, "width * x0, t,", "x0, t,", "noise of the wrong width"),
    (S, "- x.shape[-1] * math.log(width)", "", "the density's unit"),
    (S, "self.field(t, self.width * y) / self.width", "self.field(t, self.width * y)", "a field in other units"),
    (S, "return v / self.width, trace", "return v / self.width, trace / self.width", "the trace's unit"),
    (S, '"step_size": last / steps', '"step_size": 2 * last / steps', "half the steps"),
    (S, "t1=last, rtol", "t1=1.0, rtol", "into the singular end"),
    (S, "(len(x) - 1) / way.square()", "1 / way.square()", "a sum for an integral"),
    (T, "x1[pairing(x0, x1)]", "x1", "a pairing that is not used"),
    (T, "rate.step()", "pass", "a rate that stays"),
]
