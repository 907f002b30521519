// The hosted capture page: one face session over the whole window, and the way back to the caller.

import "/static/face-session/index.js";
import { chooseLanguage, loadTexts } from "/static/face-session/texts.js";

const REDIRECT_MS = 1500;
const READ_MS = 8000; // the person must first read or hear the error
const MAY_PASS = /^(MEDIA_.*|FORBIDDEN|UNEXPECTED_ERROR)$/;

const language = chooseLanguage(new URLSearchParams(location.search).get("lang"));
const say = await loadTexts(language);
Object.assign(document.documentElement, { lang: language, dir: say.direction });
document.title = say("pageTitle");

const element = document.createElement("face-session");
// This page sets its own options. So wrong options mean a wrong link.
element.options = {
  captureUrl: location.href,
  language,
  onward,
  attest: window.likenessAttest, // of the app whose web view shows this page
  texts: { INVALID_CONFIG: say("UNAUTHORIZED") },
};

/**
 * Give the buttons of the last screen: back to the caller, again if that can help, or back in the browser's history.
 *
 * @type {import("../face-session/index.js").FaceSessionOptions["onward"]}
 */
function onward({ code, redirectUrl }) {
  if (redirectUrl) return [["goOn", () => location.assign(redirectUrl)]];
  if (MAY_PASS.test(code)) return [["retry", () => location.reload()]];
  return history.length > 1 ? [["goBack", () => history.back()]] : [];
}

function leave({ detail }) {
  const wait = detail.code && detail.code !== "USER_CANCEL" ? READ_MS : REDIRECT_MS;
  if (detail.redirectUrl) setTimeout(() => location.assign(detail.redirectUrl), wait);
}

element.addEventListener("success", leave);
element.addEventListener("error", leave);
const main = document.createElement("main");
main.append(element);
document.body.replaceChildren(main);
