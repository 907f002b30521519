"""Opening a face session, and letting it vanish."""

from dataclasses import dataclass
from urllib.parse import urlencode

from likeness.engine.base import Use
from likeness.engine.workers import FaceWorkers
from likeness.kit.clock import Clock
from likeness.kit.ids import new_id, new_object_id
from likeness.kit.jose import Signer
from likeness.sessions import repository
from likeness.sessions.repository import SessionRow
from likeness.sessions.schemas import SessionOptions
from likeness.store.database import Database
from likeness.store.images import ImageStore
from likeness.tenants.service import Tenant

CAPTURE_AUDIENCE = "likeness-capture"
TEMPLATE_PURPOSE = "session template"
SWEEP_BATCH = 500


@dataclass(frozen=True, slots=True)
class OpenedSession:
    id: str
    capture_url: str
    expires_at: float


class SessionService:
    def __init__(
        self,
        faces: FaceWorkers,
        database: Database,
        images: ImageStore,
        signer: Signer,
        clock: Clock,
        *,
        origin: str,
        ttl_seconds: int,
    ) -> None:
        self._faces = faces
        self._database = database
        self._images = images
        self._signer = signer
        self._clock = clock
        self._origin = origin
        self._ttl_seconds = ttl_seconds

    async def open(self, tenant: Tenant, client_id: str, photo: bytes, options: SessionOptions) -> OpenedSession:
        """Open a session for the person on an ID photo, which is refused here if it shows no usable face."""
        face = await self._faces.analyse(photo, use=Use.ID_PHOTO, policy=tenant.settings.face_policy)
        now = self._clock.now()
        session_id, image_id = new_id(), new_object_id()
        row = SessionRow(
            id=session_id,
            tenant_id=tenant.id,
            client_id=client_id,
            state="open",
            options=options.model_dump(mode="json", by_alias=True, exclude={"id_photo"}),
            pack=str(self._faces.engine.pack),
            sealed_template=tenant.cipher.seal(face.template.astype("<f4").tobytes(), TEMPLATE_PURPOSE, session_id),
            image_id=image_id,
            attempts=0,
            created_at=now,
            expires_at=now + self._ttl_seconds,
        )
        await self._images.put(tenant.id, image_id, photo, tenant.cipher)
        await self._database.write(lambda c: repository.add_session(c, row))
        return OpenedSession(session_id, self._capture_url(row), row.expires_at)

    async def remove_expired(self) -> int:
        """Delete what is past its end, photo included; gives how many sessions went."""
        now = self._clock.now()
        ended = await self._database.read(lambda c: repository.expired_sessions(c, now=now, limit=SWEEP_BATCH))
        for _, tenant_id, image_id in ended:
            if image_id:
                await self._images.delete(tenant_id, image_id)
        if ended:
            await self._database.write(lambda c: repository.remove_sessions(c, [row[0] for row in ended]))
        return len(ended)

    def _capture_url(self, row: SessionRow) -> str:
        # The capture token is good for this one session: the tenant's access token never reaches a browser. It travels in the
        # fragment, which browsers keep to themselves, so that it is in no server's log.
        claims = {
            "iss": self._origin,
            "aud": CAPTURE_AUDIENCE,
            "sub": row.id,
            "iat": int(row.created_at),
            "exp": int(row.expires_at),
        }
        return f"{self._origin}/capture/{row.id}#{urlencode({'token': self._signer.sign(claims)})}"
