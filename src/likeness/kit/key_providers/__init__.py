"""Key providers other than a file: the master key is in the environment, or in a service or device that keeps it."""

from likeness.kit.envelope import KeyProvider
from likeness.kit.key_providers.aws_kms import AwsKms
from likeness.kit.key_providers.environment import key_of_environment
from likeness.kit.key_providers.pkcs11 import Pkcs11Key
from likeness.kit.key_providers.vault import VaultTransit


def open_provider(address: str, *, master_key: str | None, module: str | None, pin: str | None) -> KeyProvider:
    """Open the provider that an address names, such as ``vault:transit/likeness``. Raises SetupError."""
    kind, _, place = address.partition(":")
    match kind:
        case "vault":
            return VaultTransit(place)
        case "aws-kms":
            return AwsKms(place)
        case "pkcs11":
            return Pkcs11Key(place, module=module, pin=pin)
        case _:
            return key_of_environment(master_key)
