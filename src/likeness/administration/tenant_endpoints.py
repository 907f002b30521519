"""A tenant's own settings and its webhook."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from likeness.access.requires import TenantsComponent
from likeness.administration.composition import AdministrationComponent, Administrator
from likeness.administration.schemas import (
    DeliveryList,
    DeliveryReply,
    OwnSettings,
    SettingsReply,
    WebhookReply,
    WebhookRequest,
    WebhookTestReply,
)
from likeness.errors import InvalidInput, NotFound
from likeness.kit.ids import is_uuid
from likeness.sessions.mode import NO_PASSIVE_MODEL
from likeness.tenants.schemas import TenantSettings
from likeness.tenants.service import Tenant
from likeness.web.http import error_responses, json_schema, read_json
from likeness.web.route import DirectRoute

router = APIRouter(prefix="/api/v1/admin", tags=["administration"], route_class=DirectRoute)
READING = error_responses(401, 403, 429, 503)
CHANGING = error_responses(400, 401, 403, 413, 415, 429, 503)


def _reply(tenant: Tenant, settings: TenantSettings) -> SettingsReply:
    return SettingsReply(tenant_id=tenant.id, name=tenant.name, settings=OwnSettings.of(settings))


@router.get("/settings", operation_id="getSettings", summary="Read the tenant's settings", responses=READING)
async def get_settings(principal: Administrator, tenants: TenantsComponent) -> SettingsReply:
    """Give the tenant's name and its settings."""
    tenant = await tenants.get(principal.tenant_id)
    return _reply(tenant, tenant.settings)


@router.put(
    "/settings",
    operation_id="putSettings",
    summary="Replace the tenant's settings",
    responses=CHANGING,
    openapi_extra=json_schema(OwnSettings),
)
async def put_settings(
    request: Request, principal: Administrator, tenants: TenantsComponent, administration: AdministrationComponent
) -> SettingsReply:
    """Replace the settings. This server follows at once, others within half a minute.

    `galleryLimit` is ignored: it stays as the operator set it.
    """
    wanted = await read_json(request, OwnSettings)
    tenant = await tenants.get(principal.tenant_id)
    if wanted.liveness_mode == "passive" and not administration.judges_passively:
        raise InvalidInput(NO_PASSIVE_MODEL)
    changed = await asyncio.to_thread(tenants.change_settings, tenant.id, wanted, keeping={"gallery_limit"})
    return _reply(tenant, changed)


@router.get("/webhook", operation_id="getWebhook", summary="Read the webhook", responses=READING | error_responses(404))
async def get_webhook(
    principal: Administrator, tenants: TenantsComponent, administration: AdministrationComponent
) -> WebhookReply:
    """Give the address that the server posts results to. The values of headers and the secret stay hidden."""
    target = await asyncio.to_thread(administration.webhooks.get, await tenants.get(principal.tenant_id))
    return WebhookReply(url=target.url, headers=list(target.headers))


@router.put(
    "/webhook",
    operation_id="putWebhook",
    summary="Set the webhook",
    responses=CHANGING,
    openapi_extra=json_schema(WebhookRequest),
)
async def put_webhook(
    request: Request, principal: Administrator, tenants: TenantsComponent, administration: AdministrationComponent
) -> WebhookReply:
    """Set where the server posts results to. The answer has the signing secret if it is new."""
    wanted = await read_json(request, WebhookRequest)
    tenant, webhooks = await tenants.get(principal.tenant_id), administration.webhooks
    before = await asyncio.to_thread(webhooks.find, tenant)
    target = await asyncio.to_thread(
        webhooks.put, tenant, wanted.url, wanted.headers, rotate_secret=wanted.rotate_secret
    )
    is_new = before is None or before.secret != target.secret
    return WebhookReply(url=target.url, headers=list(target.headers), secret=target.secret if is_new else None)


@router.delete(
    "/webhook",
    status_code=204,
    operation_id="removeWebhook",
    summary="Remove the webhook",
    responses=READING | error_responses(404),
)
async def remove_webhook(
    principal: Administrator, tenants: TenantsComponent, administration: AdministrationComponent
) -> None:
    """Stop posting results."""
    await asyncio.to_thread(administration.webhooks.remove, await tenants.get(principal.tenant_id))


@router.post(
    "/webhook/test",
    operation_id="testWebhook",
    summary="Post a test call to the webhook",
    responses=READING | error_responses(404),
)
async def test_webhook(
    principal: Administrator, tenants: TenantsComponent, administration: AdministrationComponent
) -> WebhookTestReply:
    """Post a signed call without session data, and give the receiver's answer."""
    outcome = await administration.test_webhook(await tenants.get(principal.tenant_id))
    return WebhookTestReply(delivered=outcome.delivered, status=outcome.status, error=outcome.error)


@router.get(
    "/webhook/deliveries",
    operation_id="listDeliveries",
    summary="List deliveries",
    responses=READING | error_responses(400),
)
async def show_deliveries(
    principal: Administrator,
    tenants: TenantsComponent,
    administration: AdministrationComponent,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DeliveryList:
    """List the calls to the webhook, the newest first."""
    tenant = await tenants.get(principal.tenant_id)
    rows = await asyncio.to_thread(administration.webhooks.deliveries, tenant, limit=limit)
    return DeliveryList(deliveries=[DeliveryReply.of(row) for row in rows])


@router.post(
    "/webhook/deliveries/{delivery_id}/replay",
    status_code=204,
    operation_id="replayDelivery",
    summary="Repeat a delivery",
    responses=READING | error_responses(404),
)
async def repeat_delivery(
    delivery_id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
    principal: Administrator,
    tenants: TenantsComponent,
    administration: AdministrationComponent,
) -> None:
    """Queue a delivery again."""
    if not is_uuid(delivery_id):
        raise NotFound("There is no such delivery.")
    tenant = await tenants.get(principal.tenant_id)
    await asyncio.to_thread(administration.webhooks.replay, tenant, delivery_id.lower())
