"""Errors planted by hand in `workings.implicit_reparameterization`: (file, find, replace, why). Tests must turn red."""

F = "implicit_reparameterization/"
B, S, N, V, G, R, T, M, A, E = (F + f"{name}.py" for name in (
    "implicit", "special", "normal", "von_mises", "gamma", "rice", "truncated_normal", "mixture",
    "amplitudes", "autoencoder",
))  # fmt: skip

MUTANTS = [
    # the mechanism
    (B, "pulled = -grad.detach() / slope", "pulled = grad.detach() / slope", "the sign of equation 7"),
    (B, "pulled = -grad.detach() / slope", "pulled = -grad.detach()", "the density lost"),
    (
        B,
        "-torch.linalg.solve_triangular(slope.mT, grad",
        "torch.linalg.solve_triangular(slope.mT, grad",
        "the sign of equation 6",
    ),
    (
        B,
        "solve_triangular(slope.mT, grad.detach()[..., None], upper=True)",
        "solve_triangular(slope, grad.detach()[..., None], upper=False)",
        "the matrix for its transpose",
    ),
    (
        B,
        "return None, _Once.apply(pulled, grad), None",
        "return None, pulled.detach(), None",
        "a second derivative that is dropped",
    ),
    (B, "-sum(derivative", "sum(derivative", "the sign of a known derivative"),
    (B, "if _tracked(parameter)]", "]", "derivatives that nobody needs"),
    (
        N,
        "implicit(z, self.cdf(z), self.log_prob(z).exp())",
        "implicit(z, self.cdf(z), self.log_prob(z))",
        "the log density for the density",
    ),
    # Bessel functions
    (
        S,
        "(4 * order**2 - (2 * k - 1) ** 2) / (8 * k)",
        "(4 * order**2 - (2 * k + 1) ** 2) / (8 * k)",
        "Hankel's series",
    ),
    (
        S,
        "near = 1 - torch.special.i1e(w) / torch.special.i0e(w)",
        "near = 1 - torch.special.i0e(w) / torch.special.i1e(w)",
        "the ratio upside down",
    ),
    # gamma
    (S, "score = log_z - torch.digamma(alpha)", "score = log_z - alpha.log()", "the score's mean"),
    (S, "reach * (s + score) *", "reach * score *", "the change of the score along the way"),
    (
        S,
        "torch.exp(side * (alpha * s) - z * torch.expm1(side * s))",
        "torch.exp(side * ((alpha - 1) * s) - z * torch.expm1(side * s))",
        "the Jacobian of the logarithm",
    ),
    (S, "psi + 1 / (alpha + k)\n", "psi\n", "a digamma function that stays"),
    (S, "small = (alpha < 1) & (z < 1)", "small = (alpha < 1) & (z < 9)", "too few terms"),
    (S, "2 * NEGLIGIBLE / 3 - 2 * delta", "NEGLIGIBLE / 30 - 2 * delta", "an integral cut short"),
    # beta
    (
        S,
        "score = z.log() - torch.digamma(a) + torch.digamma(a + b)",
        "score = z.log() - torch.digamma(a)",
        "the score's mean",
    ),
    (S, "torch.where(score < 0, s + log, -log)", "torch.where(score < 0, s, -log)", "log t for the logit"),
    (
        S,
        "here, there = torch.where(down, a, b), torch.where(down, b, a)",
        "here, there = a, b",
        "the shapes of the other side",
    ),
    (
        S,
        "rise = torch.log1p(h / far) + h / (2 * far * (far + h))",
        "rise = torch.log1p(h / far)",
        "a term of the series",
    ),
    (S, "return out * z * rest", "return out", "the logit for the sample"),
    (
        G,
        "(b, lambda: -beta_gradient(b, a, 1 - z, z))",
        "(b, lambda: beta_gradient(b, a, 1 - z, z))",
        "the sign for the second shape",
    ),
    # Student
    (S, "tanh2 / df) / 2", "tanh2 / df)", "half of the score"),
    (S, "t.sign() * df.sqrt()", "df.sqrt()", "the sign of t"),
    (S, "knee = torch.where(inside, x.clamp(max=3), torch.minimum(end, x + 3))", "knee = end", "nodes for the middle"),
    (S, "v**2 / 2 * (1 + v**2 * (-1 / 2", "v**2 / 2 * (1 + v**2 * (1 / 2", "a sign in the series"),
    # von Mises
    (
        S,
        "(gap - 2 * y) * torch.exp(2 * kappa * (start - y))",
        "(gap - y) * torch.exp(2 * kappa * (start - y))",
        "cos t = 1 - y",
    ),
    (
        S,
        "return theta.sign() * integrate(integrand, kappa, angle, end, gap)",
        "return integrate(integrand, kappa, angle, end, gap)",
        "the sign of the angle",
    ),
    (
        S,
        "mass = integrate(integrand, kappa, angle, end) / (2 * torch.pi",
        "mass = integrate(integrand, kappa, angle, end) / (torch.pi",
        "the normalization",
    ),
    (
        V,
        "lambda: -density * von_mises_gradient(k, at)",
        "lambda: density * von_mises_gradient(k, at)",
        "the sign of ∂F/∂κ",
    ),
    (V, "torch.log(c / v) + 1 < c", "torch.log(c / v) + 1.3 < c", "the acceptance"),
    (V, "excess = (1 - rho).square() / (2 * ratio)", "excess = (1 - rho).square() / ratio", "the envelope"),
    (V, "return _wrapped(self.loc + angle)", "return self.loc + angle", "angles on another turn"),
    (V, "q.concentration * kept * apart", "q.concentration * apart", "the resultant length in the divergence"),
    (V, "kappa * self.variance", "kappa * (1 - self.variance)", "the entropy's mean"),
    # gamma family
    (
        G,
        "lambda: z * gamma_gradient(alpha, z))) / self.rate",
        "lambda: gamma_gradient(alpha, z))) / self.rate",
        "∂ log z for ∂z",
    ),
    (G, "value.detach().clamp_(min=torch.finfo(value.dtype).tiny)", "value.detach()", "samples that underflow"),
    (
        G,
        "standard_gamma(a + 1, generator).log() + uniform(a.shape, a, generator).log() / a",
        "standard_gamma(a, generator).log()",
        "a logarithm of what has underflowed",
    ),
    (G, "lambda: -density * z * gamma_gradient(a, z)", "lambda: -density * gamma_gradient(a, z)", "∂F/∂α"),
    (
        G,
        "(torch.log(df.detach().double() / 2) - log_chi2) / 2",
        "(torch.log(df.detach().double()) - log_chi2) / 2",
        "the scale of χ²",
    ),
    # Rice
    (R, "lambda: ((at - v) + v * gap) / s", "lambda: (at - v) / s", "x - ν for x - ν r"),
    (R, "lambda: 1 - gap)", "lambda: gap)", "1 - r for r"),
    (R, "gap = bessel_gap(at * v / s**2)", "gap = bessel_gap(at * v / s)", "σ for σ² in w"),
    (
        R,
        "marcum_q(self.nu / self.sigma, value / self.sigma, complement=True)",
        "marcum_q(value / self.sigma, self.nu / self.sigma, complement=True)",
        "the arguments exchanged",
    ),
    (R, "w = value * self.nu / self.sigma.square()", "w = value * self.nu / self.sigma", "σ for σ² in the density"),
    (
        R,
        "y = (self.nu / self.sigma).square() / 4",
        "y = (self.nu / self.sigma).square() / 2",
        "the argument of the mean",
    ),
    (S, "end = torch.where(delta >= 0, b + reach", "end = torch.where(delta >= 0, b + reach / 4", "a window cut short"),
    (
        S,
        "(b, lambda: -sign * near * torch.special.i0e(x * y))",
        "(b, lambda: -sign * near * torch.special.i1e(x * y))",
        "∂Q/∂b",
    ),
    # truncated normal
    (
        T,
        "return level, 1 - at_a - at_b, xi - a * at_a - b * at_b, at_a, at_b",
        "return level, torch.ones_like(level), xi, at_a, at_b",
        "the terms of the bounds (TF's gradient)",
    ),
    (
        T,
        "at_a, at_b = (1 - level) * _relative(a, xi), level * _relative(b, xi)",
        "at_a, at_b = level * _relative(a, xi), (1 - level) * _relative(b, xi)",
        "the weights exchanged",
    ),
    (T, "by_loc = score * m[0] + m1", "by_loc = score * m[0]", "the change of the score along the way"),
    (T, "2 * xi * m1 + m2", "2 * xi * m1", "the second moment"),
    (T, "if ((a < 2) & (b > -2) & (b - a > 1)).all():", "if True:", "the closed form in the tails"),
    (T, "for _ in range(6):", "for _ in range(0):", "quantiles of a far tail"),
    (T, "- c.square() / 2 + log_mass", "+ log_mass", "the density at the mode"),
    # mixtures
    (
        M,
        "before = log_pi[..., None] + torch.cumsum(log_q, -1) - log_q",
        "before = (log_pi[..., None] + 0 * log_q)",
        "the prior for the posterior",
    ),
    (M, "torch.cumsum(log_q, -1) - log_q", "torch.cumsum(log_q, -1)", "a dimension too many in the weights"),
    (M, "- mean * share.sum(-2)[..., None]", "", "the weights' normalization"),
    (M, "return torch.where(upper, -value, value)", "return value", "the sign in the upper tail"),
    # what is built on it
    (
        A,
        "misfit = (intensity - amplitudes.square()) / noise",
        "misfit = (intensity - amplitudes) / noise",
        "intensity for amplitude",
    ),
    (A, "return value * log_q", "return -value * log_q", "the sign of the score estimator"),
    (
        A,
        "log_joint(amplitudes, intensity, noise) - q.log_prob(amplitudes)",
        "log_joint(amplitudes, intensity, noise)",
        "the entropy lost",
    ),
    (
        E,
        "- kl_divergence(q, self.latent.prior(z)).sum(-1)",
        "+ kl_divergence(q, self.latent.prior(z)).sum(-1)",
        "the sign of the divergence",
    ),
    (E, "self.latent.prior(z).log_prob(z) - q.log_prob(z)", "self.latent.prior(z).log_prob(z)", "weights without q"),
    (E, "(-bound).backward()", "bound.backward()", "descent for ascent"),
]
