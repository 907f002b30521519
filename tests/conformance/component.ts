// What a page in TypeScript writes with the face session's types; compiled and never run.
import client, { create, type FaceSession, faceSession, type FaceSessionOptions } from "./face-session/index.js";

const options: FaceSessionOptions = {
  sessionId: "…",
  getCaptureUrl: async (sessionId) => `https://face.example.com/capture/${sessionId}#token=…`,
  onward: ({ code }) => (code === null ? [] : [["close", () => {}]]),
};
export const jws: Promise<string> = client
  .create({ texts: {} })
  .faceSession({ sessionId: "…", onSuccess: (jws) => jws.length });
create().faceSession(options);
faceSession(options);
// @ts-expect-error: an id is a text
faceSession({ sessionId: 3 });

export function listen(element: FaceSession): void {
  element.addEventListener("success", ({ detail }) => detail.jws.length);
  element.addEventListener("error", ({ detail }) => detail.redirectUrl?.length);
  element.addEventListener("click", () => element.cancel({ ask: true }));
}
