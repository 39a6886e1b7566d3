"""A network of your own: one hidden layer with a connection around it."""

from torch import Tensor, nn

from alphamill.training import GaussianHead, ModelParams, architecture


class Residual(nn.Module):
    def __init__(self, n_features: int, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(n_features, width)
        self.block = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))

    def forward(self, scaled: Tensor) -> Tensor:
        entered = self.enter(scaled)
        return entered + self.block(entered)


@architecture("residual")
def residual(n_features: int, params: ModelParams) -> nn.Module:
    width = params.hidden[0]
    return GaussianHead(Residual(n_features, width, params.dropout), width)
