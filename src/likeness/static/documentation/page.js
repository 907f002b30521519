// Shows the description of the API, and lets the reader make each call on the server that the page came from.

const { SwaggerUIBundle } = /** @type {any} */ (globalThis);

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const description = await (await fetch("/openapi.json")).json();
description.servers = [{ url: location.origin }]; // the public address may be another, which this page may not call
delete description.components.securitySchemes.bearer; // its field takes the focus from the client's id and secret
SwaggerUIBundle({
  spec: description,
  domNode: document.getElementById("calls"),
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null, // a stranger's service, which would be told where the description is
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
