"""A session outlives the server that it began on."""

import socket
from pathlib import Path

from scripted_sessions import ATTACK_FRAME, PERSON_FRAME, open_session, ready_browser, scripted
from servers import Api, calling, serving, test_settings
from session_endings import verified


def test_a_session_goes_on_after_a_restart(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = test_settings(tmp_path, port=port)
    with serving(settings) as server, calling(server) as api, scripted(server):
        session = open_session(api)
        credentials = api.client_id, api.client_secret
        with ready_browser(api, session) as browser:
            device = browser.ready["device"]
            assert browser.attempt(ATTACK_FRAME)["attemptsLeft"] == 2
            browser.start()
    with serving(settings) as server, scripted(server):
        tenant = server.deployment.tenants.by_name(api.tenant.id)
        api = Api(server, tenant, *credentials, api.http.__class__(base_url=server.url, timeout=60))
        api.headers = {"Authorization": f"Bearer {api.token()}"}
        with ready_browser(api, session, device=device) as browser:
            # The attempt that the restart interrupted does not count.
            assert (browser.ready["attemptsLeft"], browser.ready["underWay"]) == (2, False)
            assert browser.attempt(PERSON_FRAME)["code"] is None
        jws = api.call("GET", f"/api/v1/info/{session.id}").text
        assert verified(api, jws)["data"]["face"]["failedAttempts"] == ["FACE_LIVENESS_FAILED"]
        api.http.close()
