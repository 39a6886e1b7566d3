"""Feast's declarations, as a package: found wherever Alphamill is installed, and not another folder of this name."""
