"""Errors planted by hand in `workings.spectral_bias`: (file, find, replace, why); each must turn a test red."""

F = "spectral_bias/"
K, C, E, D, P, N, T, A, J, X = (F + f"{name}.py" for name in (
    "kernels", "closed_form", "empirical", "dynamics", "features", "networks", "training", "data", "threefry",
    "experiments",
))  # fmt: skip

MUTANTS = [
    # kernels
    (K, "(2 * width**2)", "width**2", "the half in the exponent"),
    (K, "kernel + ridge * torch.eye", "kernel - ridge * torch.eye", "the sign of the ridge"),
    (K, "return weights @ y", "return (weights / weights.sum(1, keepdim=True)) @ y", "a weighted mean"),
    # closed form
    (C, "/ (2 * math.pi)\n    return first", "/ math.pi\n    return first", "the half of the first moment"),
    (C, "rest / (2 * math.pi)", "rest / math.pi", "the half of the second moment"),
    (C, "rest = math.pi - torch.acos(cosine)", "rest = torch.acos(cosine)", "the angle for its supplement"),
    (C, "+ w * slope * theta", "", "the layers before"),
    (C, "gain * moment + beta", "gain * moment", "the biases"),
    (C, "first * inner + beta", "first * inner", "the first bias"),
    (C, "sigma, theta = w * moment", "sigma, theta = moment", "the variance of the weights"),
    (C, "shrink = (w / 2) ** layer * w / d", "shrink = w**layer * w / d", "variances that do not halve"),
    (C, "gains = [float(width) for width in hidden]", "gains = [1.0 for width in hidden]", "the width"),
    (C, "first = 1.0 if", "first = w / d if", "the other parametrization's first layer"),
    # empirical kernels
    (E, ".add_(a.bias)", "", "the biases"),
    (E, "scale * inputs if scale != 1 else inputs", "inputs", "the scale of the weights"),
    (
        E,
        'getattr(one, "scale", 1.0) if one.weight.requires_grad else 0.0',
        'getattr(one, "scale", 1.0)',
        "frozen weights",
    ),
    (E, "if not once or", "if", "layers that are used twice"),
    (E, "return output.clone()", "return output", "what follows works in place"),
    (
        E,
        'raise ValueError("rows of a batch',
        'return\n        raise ValueError("rows of a batch',
        "rows that influence each other",
    ),
    (E, "kernel[:, rows] +=", "kernel[:, rows] =", "the sum over layers"),
    (
        E,
        'torch.einsum("nap,mbp->nmab", left, right)',
        'torch.einsum("nap,map->nma", left, right)[..., None]',
        "outputs that go together",
    ),
    # dynamics
    (D, "torch.exp(-self.eigenvalues * t)", "torch.exp(self.eigenvalues * t)", "the sign of the exponent"),
    (D, '2.0 if loss in ("sum", "mean") else 1.0', "1.0", "the half of the loss"),
    (D, '(len(y) if "mean" in loss else 1)', "1", "the mean"),
    (D, "error = (self.start - self.y)", "error = -self.y", "where it starts"),
    (D, "return moved if start is None else start.double() + moved", "return moved", "where it starts elsewhere"),
    (D, "moved: Tensor = -(gain", "moved: Tensor = (gain", "the sign elsewhere"),
    (
        D,
        "(1 - step) ** steps",
        "torch.exp(-step * steps)",
        "the exponential for the powers",
    ),
    (
        D,
        "torch.where(small, time.expand(small.shape)",
        "torch.where(small, torch.zeros(small.shape).to(time)",
        "the limit at zero",
    ),
    (D, "torch.full_like(step, eta * steps)", "torch.zeros_like(step)", "the limit at zero"),
    (
        D,
        "-torch.expm1(-eigenvalues * time) / safe",
        "(1 - torch.exp(-eigenvalues * time)) / safe",
        "digits of small numbers",
    ),
    # features
    (P, "phase = 2 * math.pi * (v", "phase = (v", "the 2π"),
    (P, "self.amplitudes * torch.sin(phase)", "self.amplitudes * torch.cos(phase)", "cosines only"),
    (P, "@ self.amplitudes.square()", "@ self.amplitudes", "a for a²"),
    (P, "a / a.norm() if normalize else a", "a / a.sum() if normalize else a", "the norm"),
    (P, "j[:, None], j**-p, normalize", "j[:, None], j**p, normalize", "the power upside down"),
    (P, "j = torch.arange(1, at_least", "j = torch.arange(0, at_least", "harmonics from zero"),
    (
        P,
        'sigma ** (j / m) if definition == "paper"',
        'sigma ** ((j + 1) / m) if definition == "paper"',
        "frequencies up to σ",
    ),
    (P, "sigma ** (j / (m - 1)) - 1", "sigma ** (j / (m - 1))", "the frequency zero"),
    (P, "sigma * torch.randn", "torch.randn", "the scale"),
    (
        P,
        'torch.eye(at_least("dim", dim, 1), dtype=torch.float64)',
        'torch.ones(at_least("dim", dim, 1), dim, dtype=torch.float64)',
        "frequencies off the axes",
    ),
    # networks and training
    (N, 'math.sqrt(weight_variance / in_features) if parametrization == "ntk" else 1.0', "1.0", "the scale in passing"),
    (
        N,
        'self.spread = 1.0 if parametrization == "ntk" else math.sqrt',
        'self.spread = 1.0 if parametrization == "ntk" else 2 * math.sqrt',
        "the weights' variance",
    ),
    (T, "sum().mul(0.5)", "sum()", "the half of the loss"),
    (T, "kept = [outputs()]", "kept = []", "the outputs at the start"),
    # data
    (A, "(1 + frequency) ** -alpha", "(1 + frequency) ** (-2 * alpha)", "the spectrum's power"),
    (A, "frequency < band", "frequency < 2 * band", "the band"),
    (A, 'mode="area"', 'mode="nearest"', "pixels dropped instead of averaged"),
    (A, "top + size, left : left + size, None", "top + size, :size, None", "the column of the square"),
    (A, "torch.arange(first, size, step) / size", "torch.arange(first, size, step) / (size - 1)", "the unit of places"),
    (A, "(cosine, -sine, zero, sine, cosine, zero)", "(cosine, sine, zero, sine, cosine, zero)", "a turn that mirrors"),
    (A, "return turned[:, 0].mean(1)", "return turned[:, 0].sum(1)", "means for sums"),
    (A, "-10 * math.log10", "-20 * math.log10", "decibels of amplitudes"),
    (J, "np.uint32(0x1BD11BDA)", "np.uint32(0x1BD11BDB)", "the parity constant"),
    (J, "np.uint32(block + 1)", "np.uint32(block)", "the count of the block"),
    # experiments
    (X, "self.known[::8] = True", "self.known[1::8] = True", "which points are known"),
    (X, '"half-mean").flow(float(t)', '"half-sum").flow(float(t)', "the pace of the restarted theory"),
    (X, "line.dynamics(kernel, f, ", "line.dynamics(kernel, path[0], ", "a theory that is not restarted"),
    (X, '("train", 0), ("test", 1)', '("train", 0), ("test", 0)', "judged on what was seen"),
    (X, "rate=TIME / steps", "rate=TIME / steps / 2", "half the time"),
]
