"""All calls of the administration, ``/api/v1/admin/...``."""

from fastapi import APIRouter

from likeness.administration import client_endpoints, entry_endpoints, oversight_endpoints, tenant_endpoints

router = APIRouter()
for endpoints in (tenant_endpoints, client_endpoints, oversight_endpoints, entry_endpoints):
    router.include_router(endpoints.router)
