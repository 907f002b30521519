// A strict relying party in Node: {jws, jwks, issuer, audience, sessionId} on stdin; the claims on stdout, or a refusal and status 1.

import { text } from "node:stream/consumers";
import { createRemoteJWKSet, jwtVerify } from "jose";

const FUTURE_SECONDS = 60;

function demand(condition, what) {
  if (!condition) throw new Error(`${what} is not as the contract says`);
}

async function verify({ jws, jwks, issuer, audience, sessionId }) {
  const { payload } = await jwtVerify(jws, createRemoteJWKSet(new URL(jwks)), {
    algorithms: ["RS256"],
    issuer,
    audience,
    requiredClaims: ["iat", "exp", "jti"],
  });
  demand(payload.iat <= Date.now() / 1000 + FUTURE_SECONDS, "iat");
  demand(payload.data?.sessionId === sessionId, "data.sessionId");
  demand(typeof payload.data.face?.match === "boolean", "face.match");
  demand(typeof payload.data.face?.matchLevel === "number", "face.matchLevel");
  return payload;
}

try {
  console.log(JSON.stringify(await verify(JSON.parse(await text(process.stdin)))));
} catch (error) {
  console.error(`${error.code ?? error.name}: ${error.message}`);
  process.exitCode = 1;
}
