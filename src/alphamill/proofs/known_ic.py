"""What the synthetic market's signal is worth to a model, in closed form.

A model does not see the signal s(t) but `volume_zscore_21`: the volume, linear in s(t), against its own last 21 bars.
From `signal_ic`, the correlation of s(t) with the label, three steps lead to the number that the pipeline measures:
the part of the signal that the z-score keeps, what estimating the weights costs, and the expected sample correlation
of one day, plain or of ranks.
"""

from math import asin, exp, lgamma, pi, sqrt

from alphamill.errors import InvalidInput


def zscore_share(bars: int) -> float:
    """Correlation of a normal variable with its z-score against the last `bars` values, itself included.

    Let s1..sn be independent standard normals, m their mean, S their standard deviation (ddof 0), z = (s1 - m) / S.
    z has mean 0 and, as z1^2 + ... + zn^2 = n, variance 1. z depends on the residuals' direction only, so it is
    independent of m and of S (Basu 1955). Then cov(s1, z) = E[(s1 - m) z] = E[S z^2] = E[S] E[z^2] = E[S]. As n S^2
    is chi-square with n - 1 degrees of freedom, the correlation is

        E[S] = sqrt(2 / n) Gamma(n / 2) / Gamma((n - 1) / 2),

    0.9638 for n = 21. What drives the label but s1 is independent of z, so the z-score's IC is this share of the
    signal's.
    """
    if bars < 2:
        raise InvalidInput(f"bars is {bars}.", field="bars", remedy="A z-score needs two values or more.")
    return sqrt(2.0 / bars) * exp(lgamma(bars / 2) - lgamma((bars - 1) / 2))


def learned_ic(ic: float, weights: int, rows: int) -> float:
    """Correlation with the label of a forecast whose weights were estimated by least squares.

    With k features of variance 1 that are independent of each other and of their own past, and labels of variance 1,
    the estimated forecast is the best one plus an independent error of variance k (1 - ic^2) / n, so its correlation
    with new labels is ic^2 / sqrt(ic^2 + k (1 - ic^2) / n). Labels that overlap do not change that: a feature without
    memory multiplies their neighbours by independent values. One with memory costs more.
    """
    if weights < 1 or rows <= weights:
        raise InvalidInput(f"{weights} weights, {rows} rows.", field="rows", remedy="Give more rows than weights.")
    return ic * abs(ic) / sqrt(ic**2 + weights * (1.0 - ic**2) / rows)


def daily_ic(ic: float, names: int) -> float:
    """Expected Pearson correlation of one day's `names` normal pairs whose true correlation is `ic`.

    E[r] = 2 / (n - 1) (Gamma(n / 2) / Gamma((n - 1) / 2))^2 ic F(1/2, 1/2; (n + 1) / 2; ic^2), F the hypergeometric
    function: Hotelling (1953), "New Light on the Correlation Coefficient and its Transforms"; smaller than ic
    by about ic (1 - ic^2) / (2 n).
    """
    from scipy.special import hyp2f1

    _checked(ic, names)
    gammas = exp(2.0 * (lgamma(names / 2) - lgamma((names - 1) / 2)))
    return float(2.0 / (names - 1) * gammas * ic * hyp2f1(0.5, 0.5, (names + 1) / 2, ic**2))


def daily_rank_ic(ic: float, names: int) -> float:
    """Expected Spearman correlation of one day's `names` normal pairs whose true correlation is `ic`.

    E[r_s] = 6 / (pi (n + 1)) (asin(ic) + (n - 2) asin(ic / 2)): Moran (1948), "Rank Correlation and Product-Moment
    Correlation".
    """
    _checked(ic, names)
    return 6.0 / (pi * (names + 1)) * (asin(ic) + (names - 2) * asin(ic / 2.0))


def _checked(ic: float, names: int) -> None:
    if not -1.0 < ic < 1.0:
        raise InvalidInput(f"ic is {ic}.", field="ic", remedy="Give a correlation between -1 and 1.")
    if names < 3:
        raise InvalidInput(f"names is {names}.", field="names", remedy="Give three names or more.")
