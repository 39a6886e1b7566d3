"""May the model that answers trade at this venue?"""

from alphamill.domain.approval import allows
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.venues import Capabilities
from alphamill.errors import ModelNotApproved


def require_approved(signature: ModelSignature, venue: Capabilities) -> None:
    """`ModelNotApproved` unless the gate approved this version for a venue of this kind."""
    if not allows(signature.approved_for, venue.kind):
        raise ModelNotApproved(
            f"model {signature.name}-{signature.version} is approved for {signature.approved_for}, "
            f"the venue is {venue.kind}.",
            field="approved_for",
            remedy=f"Deploy a version that the gate accepted for {venue.kind}.",
        )
