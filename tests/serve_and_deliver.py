"""Serves the folder of its first argument with a due webhook, with the egress of its second, until the webhook was tried."""

import sys
import time
from contextlib import closing
from pathlib import Path

from likeness.deployment import open_deployment
from likeness.webhooks.outbox import Outbox
from likeness.webhooks.service import Webhooks
from processes import server_process
from servers import wait_until

with (
    server_process(Path(sys.argv[1]), start=False, pack="fake", workers=1, egress=sys.argv[2]) as server,
    closing(open_deployment(server.settings)) as deployment,
):
    (tenant,) = deployment.tenants.all()
    webhooks = Webhooks(deployment.database, deployment.clock, private_addresses=False)
    webhooks.put(tenant, "https://receiver.example/likeness", {})
    claims = {"jti": "j", "aud": "c", "exp": int(time.time()) + 600}
    deployment.database.write_now(lambda c: Outbox(deployment.clock).add(c, tenant, "s", claims))
    server.start()
    wait_until(lambda: any(delivery.tries for delivery in webhooks.deliveries(tenant)))
    (delivery,) = webhooks.deliveries(tenant)
    sys.stderr.write(f"outcome: {delivery.last_error}\n")
