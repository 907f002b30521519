"""What the server connects to: only what the settings and the webhooks name."""

import asyncio
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from likeness.deployment import Deployment
from likeness.diagnosis.findings import Finding, doubt, ok, wrong
from likeness.webhooks.addresses import ForbiddenAddress, Names, resolve
from likeness.webhooks.service import Webhooks

ANSWER_SECONDS = 3.0
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def egress(deployment: Deployment) -> Iterator[Finding]:
    """Check what the server connects to for the tenants' webhooks. It sends nothing there."""
    settings = deployment.settings
    proxies = sorted(name for name in os.environ if name.lower() in PROXIES)
    if proxies and not settings.images_address.startswith("file:"):
        yield doubt(
            "egress",
            f"{', '.join(proxies)} is set: photos travel through this proxy, sealed; webhooks do not",
            "Unset the variable if that is not meant.",
        )
    if settings.egress == "none" or settings.webhook_proxy:
        yield ok("egress", "webhooks are forbidden" if settings.egress == "none" else "webhooks go through a proxy")
        return
    webhooks = Webhooks(deployment.database, deployment.clock, settings.webhook_private_addresses)
    targets = {tenant.id: webhooks.find(tenant) for tenant in deployment.tenants.all()}
    found = asyncio.run(_reach({tenant: target.url for tenant, target in targets.items() if target}, deployment))
    yield from found or [ok("egress", "no tenant has a webhook")]


async def _reach(urls: dict[str, str], deployment: Deployment) -> list[Finding]:
    names = Names()
    try:
        private = deployment.settings.webhook_private_addresses
        return [await _try(names, tenant, url, private_addresses=private) for tenant, url in urls.items()]
    finally:
        names.close()


async def _try(names: Names, tenant: str, url: str, *, private_addresses: bool) -> Finding:
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    webhook = f"the webhook of tenant {tenant}, {host}:{port},"
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            addresses = await resolve(names, host, port, private_addresses=private_addresses)
            _, writer = await asyncio.open_connection(addresses[0], port)
            writer.close()
    except ForbiddenAddress:
        advice = "Give it a public address, or set LIKENESS_WEBHOOK_PRIVATE_ADDRESSES=true."
        return wrong("egress", f"{webhook} has an address that is not public", advice)
    except (OSError, TimeoutError) as error:
        cause = getattr(error, "strerror", None) or "no answer in time"
        return wrong("egress", f"{webhook} cannot be reached: {cause}", "Open the firewall, or correct the address.")
    return ok("egress", f"{webhook} can be reached")
