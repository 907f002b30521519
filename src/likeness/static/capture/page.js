// The hosted capture page: one face session over the whole window, and the way back to where the person came from.

import "/static/face-session/index.js";

const REDIRECT_MS = 1500;
const READ_MS = 8000; // what went wrong must be read, or heard, first

const element = document.createElement("face-session");
element.options = { captureUrl: location.href, language: new URLSearchParams(location.search).get("lang") };

function leave({ detail }) {
  const wait = detail.code && detail.code !== "USER_CANCEL" ? READ_MS : REDIRECT_MS;
  if (detail.redirectUrl) setTimeout(() => location.assign(detail.redirectUrl), wait);
}

element.addEventListener("success", leave);
element.addEventListener("error", leave);
document.body.replaceChildren(element);
