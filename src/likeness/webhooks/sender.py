"""One try of one delivery."""

import asyncio
import json
import ssl
from dataclasses import dataclass

import certifi
import httpx

from likeness import __version__
from likeness.errors import SetupError
from likeness.kit.clock import Clock
from likeness.settings import Settings
from likeness.webhooks.addresses import ForbiddenAddress, Names, is_public_name, resolve
from likeness.webhooks.signature import SIGNATURE_HEADER, sign_body
from likeness.webhooks.target import Target

TRY_SECONDS = 15.0
CONNECT_SECONDS = 5.0
DELIVERY_HEADER = "Likeness-Delivery"


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The outcome of a try: the receiver's status, or the reason why there is none."""

    status: int | None = None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Calls receivers. It follows no redirects, uses no proxies of the environment, and reads only the status."""

    def __init__(
        self,
        clock: Clock,
        *,
        private_addresses: bool,
        trust: ssl.SSLContext | None = None,
        proxy: str | None = None,
        forbidden: bool = False,
    ) -> None:
        """Set up the client.

        ``trust`` has other certificate authorities than the usual ones, or a certificate to show. A ``proxy`` resolves
        the receivers' names. A sender that is ``forbidden`` to send connects to nothing.
        """
        self._clock = clock
        self._private_addresses = private_addresses
        self._proxied = proxy is not None
        self._forbidden = forbidden
        self._names = Names()
        verify: ssl.SSLContext | bool = trust or True
        way = None if proxy is None else httpx.Proxy(proxy, ssl_context=trust if proxy.startswith("https:") else None)
        self._http = httpx.AsyncClient(verify=verify, trust_env=False, follow_redirects=False, proxy=way)

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> "Sender":
        """Make the sender that the settings describe. Raises SetupError if a file of certificates cannot be used."""
        return cls(
            clock,
            private_addresses=settings.webhook_private_addresses,
            trust=_trust(settings),
            proxy=settings.webhook_proxy,
            forbidden=settings.egress == "none",
        )

    async def send(self, target: Target, jws: str, *, delivery_id: str) -> DeliveryOutcome:
        """Try once. The outcome has the reason of a failure."""
        if self._forbidden:
            return DeliveryOutcome(error="LIKENESS_EGRESS forbids webhooks")
        body = json.dumps({"jwsResult": jws}).encode()
        headers = {
            **target.headers,
            "Host": target.parts.netloc,
            "Content-Type": "application/json",
            "User-Agent": f"Likeness/{__version__}",
            DELIVERY_HEADER: delivery_id,
            SIGNATURE_HEADER: sign_body(target.secret, body, now=self._clock.now()),
        }
        try:
            async with asyncio.timeout(TRY_SECONDS):
                return DeliveryOutcome(status=await self._post(target, body, headers))
        except ForbiddenAddress:
            return DeliveryOutcome(error="the host leads to a private address")
        except TimeoutError:
            return DeliveryOutcome(error="no answer in time")
        except (httpx.HTTPError, OSError) as error:
            return DeliveryOutcome(error=f"not reached ({type(error).__name__})")

    async def close(self) -> None:
        await self._http.aclose()
        self._names.close()

    async def _post(self, target: Target, body: bytes, headers: dict[str, str]) -> int:
        parts = target.parts
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if self._proxied:
            if not self._private_addresses and not is_public_name(host):
                raise ForbiddenAddress
            return await self._post_to(host, target, body, headers, httpx.Timeout(TRY_SECONDS))
        addresses = await resolve(self._names, host, port, private_addresses=self._private_addresses)
        *others, last = addresses
        # An address that does not answer must leave time for the others.
        patience = httpx.Timeout(TRY_SECONDS, connect=min(CONNECT_SECONDS, TRY_SECONDS / (len(addresses) + 1)))
        for address in others:
            try:
                return await self._post_to(address, target, body, headers, patience)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._post_to(last, target, body, headers, patience)

    async def _post_to(
        self, address: str, target: Target, body: bytes, headers: dict[str, str], patience: httpx.Timeout
    ) -> int:
        # The connection goes to the checked address. Name and certificate stay those of the host.
        url = httpx.URL(target.url).copy_with(host=address)
        extensions = {"sni_hostname": target.parts.hostname}
        async with self._http.stream(
            "POST", url, content=body, headers=headers, extensions=extensions, timeout=patience
        ) as reply:
            return reply.status_code


def _trust(settings: Settings) -> ssl.SSLContext | None:
    """Give what verifies receivers, and what the server shows them; None: the usual authorities, and nothing."""
    authorities, own = settings.webhook_ca_file, settings.webhook_certificate_file
    if authorities is None and own is None:
        return None
    try:
        trust = ssl.create_default_context(cafile=authorities or certifi.where())
        if own:
            trust.load_cert_chain(own)
    except OSError as error:  # ssl's errors are OSErrors
        names = "LIKENESS_WEBHOOK_CA_FILE and LIKENESS_WEBHOOK_CERTIFICATE_FILE"
        raise SetupError(f"the certificates of {names} cannot be used: {error}") from error
    return trust
