"""The cases about secrets, by what they are about."""

from kmsbridge.contract.secrets._abilities import AbilityCases
from kmsbridge.contract.secrets._arguments import ArgumentCases
from kmsbridge.contract.secrets._calls import CallCases
from kmsbridge.contract.secrets._deletion import DeletionCases
from kmsbridge.contract.secrets._labels import LabelCases
from kmsbridge.contract.secrets._listings import ListingCases
from kmsbridge.contract.secrets._names import NameCases
from kmsbridge.contract.secrets._sharing import SharingCases
from kmsbridge.contract.secrets._values import ValueCases
from kmsbridge.contract.secrets._versions import VersionCases


class SecretsContract(
    AbilityCases,
    ArgumentCases,
    CallCases,
    DeletionCases,
    LabelCases,
    ListingCases,
    NameCases,
    SharingCases,
    ValueCases,
    VersionCases,
):
    """Everything a bridge promises of secrets.

    Subclass it under a name that pytest collects, and give it a `harness`::

        class TestShelf(SecretsContract):
            harness = Shelf()
    """


__all__ = ["SecretsContract"]
