"""One tree of errors; the edge maps a class once to an HTTP status and an exit code.

::

    AlphamillError
    ├── InvalidInput            the caller must change what was sent        422 / exit 2
    │   ├── InvalidBar          a bar breaks a named rule
    │   ├── UnknownSymbol       not in the universe
    │   ├── InvalidWeights      not finite, or over the portfolio's limits
    │   ├── InvalidFeatures     wrong count, order, or not finite
    │   └── InvalidConfig       a setting or a spec file refuses to load
    ├── NotFound                the named thing does not exist              404 / exit 3
    ├── Conflict                true, but not now                           409 / exit 4
    │   ├── NotReconciled       ledger and broker disagree; no order is sent
    │   ├── StaleRevision       the books moved on since they were read
    │   ├── Fenced              another trader holds the lease
    │   ├── Halted              the portfolio is HALTED
    │   ├── ModelMismatch       another model answers than the one that was expected
    │   └── ModelNotApproved    the gate has not allowed this model at this venue
    ├── DataUnfit               data exists but must not be traded on       422 / exit 5
    │   ├── StaleFeatures       older than the staleness guard allows
    │   └── MissingFeatures     no row, or a null where a value is needed
    ├── GateRefused             the promotion gate said no                  409 / exit 6
    ├── NotSupported            this runtime has no such part               501 / exit 8
    └── Unavailable             a part is down; retry may help              503 / exit 7
        ├── StoreUnavailable    object store, ledger or online store
        ├── ForecasterUnavailable   no answer, or an answer that is not finite
        ├── BrokerUnavailable   no clear answer: the order stays in flight
        └── EventBusUnavailable events are not delivered; the journal keeps the bars
"""

from typing import ClassVar


class AlphamillError(Exception):
    """Root of every error raised on purpose.

    Parameters
    ----------
    message
        What is wrong, with the offending value.
    field
        The field the caller must change, if one can be named.
    remedy
        What to do about it.
    """

    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, field: str | None = None, remedy: str | None = None) -> None:
        self.message = message
        self.field = field
        self.remedy = remedy
        super().__init__(message if remedy is None else f"{message} {remedy}")

    @property
    def code(self) -> str:
        """Stable machine-readable name, e.g. ``STALE_FEATURES``."""
        name = type(self).__name__
        return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


class InvalidInput(AlphamillError):
    http_status, exit_code = 422, 2


class InvalidBar(InvalidInput):
    """`rule` is the code of the validation rule that the bar breaks; None where it was not validation that refused."""

    def __init__(
        self, message: str, *, field: str | None = None, remedy: str | None = None, rule: str | None = None
    ) -> None:
        self.rule = rule
        super().__init__(message, field=field, remedy=remedy)


class UnknownSymbol(InvalidInput):
    pass


class InvalidWeights(InvalidInput):
    pass


class InvalidFeatures(InvalidInput):
    pass


class InvalidConfig(InvalidInput):
    pass


class NotFound(AlphamillError):
    http_status, exit_code = 404, 3


class Conflict(AlphamillError):
    http_status, exit_code = 409, 4


class NotReconciled(Conflict):
    pass


class StaleRevision(Conflict):
    pass


class Fenced(Conflict):
    pass


class Halted(Conflict):
    pass


class ModelMismatch(Conflict):
    pass


class ModelNotApproved(Conflict):
    pass


class DataUnfit(AlphamillError):
    http_status, exit_code = 422, 5


class StaleFeatures(DataUnfit):
    pass


class MissingFeatures(DataUnfit):
    pass


class GateRefused(AlphamillError):
    http_status, exit_code = 409, 6


class NotSupported(AlphamillError):
    http_status, exit_code = 501, 8


class Unavailable(AlphamillError):
    http_status, exit_code = 503, 7


class StoreUnavailable(Unavailable):
    pass


class ForecasterUnavailable(Unavailable):
    pass


class BrokerUnavailable(Unavailable):
    pass


class EventBusUnavailable(Unavailable):
    pass


def by_code(code: str) -> type[AlphamillError]:
    """The class whose `code` this is, as a refusal in the ledger names it; the root for one that is none."""
    return next((kind for kind in _all(AlphamillError) if kind("").code == code), AlphamillError)


def _all(kind: type[AlphamillError]) -> list[type[AlphamillError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _all(child))]
