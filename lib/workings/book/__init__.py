"""What all chapters share: claims, records, explorers, parameters, the equation ledger. It knows no topic."""

from workings.book.claims import ClaimError, ToothlessClaimError, claim, erratum
from workings.book.explore import explore
from workings.book.figures import show, style
from workings.book.ledger import check, verifies
from workings.book.parameters import Parameter, Run, begin
from workings.book.progress import progress
from workings.book.records import recorded
from workings.book.source import show_source

__all__ = [
    "ClaimError",
    "Parameter",
    "Run",
    "ToothlessClaimError",
    "begin",
    "check",
    "claim",
    "erratum",
    "explore",
    "progress",
    "recorded",
    "show",
    "show_source",
    "style",
    "verifies",
]
