"""Arguments that several commands take."""

from typing import Annotated

import typer

TenantArgument = Annotated[str, typer.Argument(help="Name or id of the tenant.")]
RequiredTenant = Annotated[str, typer.Option("--tenant", help="Name or id of the tenant.")]
