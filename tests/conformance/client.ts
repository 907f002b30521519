// Makes the calls of a tenant's backend with a client made from the description: {base, clientId, clientSecret, photo} as its
// argument, the photo in base64; what came back on stdout, as JSON. The compiler holds every name and type to the description.

import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[] };

const { base, clientId, clientSecret, photo } = JSON.parse(process.argv[2]);
const api = createClient<paths>({ baseUrl: base });

const token = await api.POST("/api/oauth/token", {
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
  body: { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret },
});
const headers = { Authorization: `Bearer ${token.data?.access_token}` };

const refused = await api.POST("/api/v1/face/match", { body: { sourceImage: photo, targetImage: photo } });
const matched = await api.POST("/api/v1/face/match", { headers, body: { sourceImage: photo, targetImage: photo } });
const opened = await api.POST("/api/v1/face", {
  headers,
  body: { idPhoto: photo, nonce: "order-17", oneToN: "search" },
});
const inserted = await api.POST("/api/v1/face/one-to-n/insert", {
  headers,
  body: { idPhoto: photo, externalId: "customer-1" },
});
const found = await api.POST("/api/v1/face/one-to-n/search", { headers, body: { idPhoto: photo } });
const listed = await api.GET("/api/v1/face/one-to-n", { headers, params: { query: { externalId: "customer-1" } } });

console.log(
  JSON.stringify({
    refused: refused.error?.error,
    match: matched.data?.match,
    level: matched.data?.matchLevel,
    captureUrl: opened.data?.captureUrl,
    inserted: inserted.data?.oneToNVerificationId,
    found: found.data?.oneToNVerificationId,
    listed: listed.data?.entries.map((entry) => entry.externalId),
  }),
);
