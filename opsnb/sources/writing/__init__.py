"""The writing door to Postgres: used by actions alone, each in one transaction that ends whole or not at all."""

from opsnb.sources.writing.catalog import Column, Link, Table, Trigger
from opsnb.sources.writing.door import transaction
from opsnb.sources.writing.restoring import Restoring
from opsnb.sources.writing.rows import Changes, Ids, Keys, Reference, Transaction, Update, minus, plus, size

__all__ = [
    "Changes",
    "Column",
    "Ids",
    "Keys",
    "Link",
    "Reference",
    "Restoring",
    "Table",
    "Transaction",
    "Trigger",
    "Update",
    "minus",
    "plus",
    "size",
    "transaction",
]
