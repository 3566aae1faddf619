"""The cases about keys, by what they are about."""

from kmsbridge.contract.keys._abilities import AbilityCases
from kmsbridge.contract.keys._arguments import ArgumentCases
from kmsbridge.contract.keys._calls import CallCases
from kmsbridge.contract.keys._ciphertexts import CiphertextCases
from kmsbridge.contract.keys._data_keys import DataKeyCases
from kmsbridge.contract.keys._deletion import DeletionCases
from kmsbridge.contract.keys._envelopes import EnvelopeCases
from kmsbridge.contract.keys._listings import ListingCases
from kmsbridge.contract.keys._making import MakingCases
from kmsbridge.contract.keys._names import NameCases
from kmsbridge.contract.keys._public_keys import PublicKeyCases
from kmsbridge.contract.keys._sharing import SharingCases
from kmsbridge.contract.keys._signatures import SignatureCases
from kmsbridge.contract.keys._states import StateCases
from kmsbridge.contract.keys._versions import VersionCases


class KeysContract(
    AbilityCases,
    ArgumentCases,
    CallCases,
    CiphertextCases,
    DataKeyCases,
    DeletionCases,
    EnvelopeCases,
    ListingCases,
    MakingCases,
    NameCases,
    PublicKeyCases,
    SharingCases,
    SignatureCases,
    StateCases,
    VersionCases,
):
    """Everything a bridge promises of keys and of what is sealed under them.

    Subclass it under a name that pytest collects, and give it a `harness`::

        class TestSafe(KeysContract):
            harness = Safe()
    """


__all__ = ["KeysContract"]
