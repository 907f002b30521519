// Shows the description of the API. The reader can make each call on this server.

const { SwaggerUIBundle } = /** @type {any} */ (globalThis);

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const description = await (await fetch("/openapi.json")).json();
description.servers = [{ url: location.origin }]; // this page may not call a public address that differs
delete description.components.securitySchemes.bearer; // its field would take the focus from the client's id and secret
SwaggerUIBundle({
  spec: description,
  domNode: document.getElementById("calls"),
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null, // an outside service, which would get the address of the description
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
