"""A covariance matrix as few common factors plus noise of each symbol's own: never larger than it must be."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alphamill.portfolio.bounds import Array

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class FactorCovariance:
    """The matrix ``diag(noise) + loadings' loadings``; products with it cost O(k n), not O(n^2).

    Parameters
    ----------
    noise
        Shape (n,), finite, >= 0.
    loadings
        Shape (k, n), finite.
    """

    noise: Array
    loadings: Array

    def scaled(self, by: Array) -> "FactorCovariance":
        """``diag(by) S diag(by)``; `by` has shape (n,)."""
        return FactorCovariance(self.noise * by**2, self.loadings * by)

    def times(self, weights: Array) -> Array:
        """``S weights``, shape (n,)."""
        held = np.flatnonzero(weights)
        factors = self.loadings[:, held] @ weights[held]
        product: Array = self.noise * weights + self.loadings.T @ factors
        return product

    def block(self, names: Index) -> Array:
        """Rows and columns `names` of the matrix; a name may stand in it twice."""
        part = self.loadings[:, names]
        return part.T @ part + np.where(names[:, None] == names, self.noise[names], 0.0)

    def variances(self) -> Array:
        """The diagonal, shape (n,)."""
        squares: Array = self.noise + np.square(self.loadings).sum(axis=0)
        return squares
