// The styles. The embedding page may set each colour, the corners and the typeface as custom properties of the element.

// Colours by name, in light and in dark. The page's own `color-scheme` decides which are used.
const COLOURS = {
  accent: ["#0b6e5f", "#5cc8b4"],
  "on-accent": ["#fff", "#08211c"],
  ground: ["#f6f7f5", "#0f1513"],
  card: ["#fff", "#19211e"],
  ink: ["#17211e", "#e8eeeb"],
  soft: ["#56635e", "#a7b4ae"],
  line: ["#dfe5e1", "#37433e"],
  control: ["#7b8782", "#7d8a85"],
  bad: ["#a8381f", "#ff9a80"],
};
const colours = (write) =>
  Object.entries(COLOURS)
    .map(([name, pair]) => `--_${name}: var(--likeness-${name}, ${write(...pair)});`)
    .join("\n  ");

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host {
  ${colours((light) => light)}
  --_corner: var(--likeness-corner, 22px);
  --_font: var(--likeness-font, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Arabic", sans-serif);
  display: block;
  min-height: 100%;
  height: 100%;
}
@supports (color: light-dark(#000, #fff)) {
  :host { ${colours((light, dark) => `light-dark(${light}, ${dark})`)} }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }

.root {
  position: relative;
  height: 100%;
  min-height: min(30rem, 100vh);
  min-height: min(30rem, 100dvh);
  overflow: hidden;
  display: grid;
  place-items: center;
  color: var(--_ink);
  background: var(--_ground);
  font: 400 1.0625rem/1.5 var(--_font);
  -webkit-font-smoothing: antialiased;
}

.panel {
  width: min(31rem, 100% - 2rem);
  max-height: calc(100% - 2rem);
  overflow: auto;
  padding: clamp(1.5rem, 5vw, 2.75rem);
  border-radius: var(--_corner);
  background: var(--_card);
  box-shadow: 0 1px 2px rgb(23 33 30 / 6%), 0 16px 48px -12px rgb(23 33 30 / 14%);
  text-align: center;
  animation: arrive 0.35s ease-out;
}
.act { margin-top: 1.5rem; }
@keyframes arrive { from { opacity: 0; transform: translateY(8px); } }

h1 { margin: 0 0 0.5rem; font-size: clamp(1.5rem, 4.5vw, 1.85rem); line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; outline: none; text-wrap: balance; }
[dir="rtl"] h1 { letter-spacing: 0; }
.lead { margin: 0; color: var(--_soft); text-wrap: pretty; }
.note { margin: 0.75rem 0 0; overflow-wrap: anywhere; user-select: text; color: var(--_ink); font-weight: 600; font-size: 0.95rem; }
.logo { display: block; max-width: 10rem; max-height: 3rem; margin: 0 auto 1.5rem; }

.icon { width: 1.5rem; height: 1.5rem; flex: none; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }

.tips { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: 0.9rem; text-align: start; }
.tips li { display: flex; gap: 0.9rem; align-items: center; line-height: 1.35; }
.tips .icon { box-sizing: content-box; padding: 0.55rem; border-radius: 50%; color: var(--_accent); background: color-mix(in srgb, var(--_accent) 9%, transparent); }

.privacy { margin: 1.25rem 0 0; padding-top: 1rem; border-top: 1px solid var(--_line); text-align: start; font-size: 0.86rem; line-height: 1.45; color: var(--_soft); overflow-wrap: anywhere; }
.privacy p { margin: 0 0 0.2rem; }
.privacy a { color: var(--_accent); }
.privacy a:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }

.choice { display: grid; grid-template-columns: 1fr auto; gap: 0.4rem 1rem; align-items: center; text-align: start; margin: 0 0 1.5rem; padding: 0.9rem 1.1rem; border: 1px solid var(--_line); border-radius: calc(var(--_corner) * 0.65); }
.choice label { font-weight: 600; cursor: pointer; }
.choice p { grid-column: 1 / -1; margin: 0; font-size: 0.86rem; line-height: 1.4; color: var(--_soft); }
[role="switch"] { appearance: none; flex: none; position: relative; width: 3rem; height: 1.75rem; margin: 0; border-radius: 1rem; background: var(--_control); cursor: pointer; transition: background 0.15s; }
[role="switch"]::after { content: ""; position: absolute; inset-block: 0.2rem; inset-inline-start: 0.2rem; width: 1.35rem; border-radius: 50%; background: var(--_card); transition: inset-inline-start 0.15s; }
[role="switch"]:checked { background: var(--_accent); }
[role="switch"]:checked::after { inset-inline-start: 1.45rem; }

.actions { display: grid; gap: 0.6rem; }
button { display: inline-flex; gap: 0.55rem; align-items: center; justify-content: center; min-height: 3.1rem; padding: 0.65rem 1.4rem; border: 0; border-radius: 999px; font: 600 1.0625rem/1.2 var(--_font); cursor: pointer; transition: background 0.15s, transform 0.05s; }
button:active { transform: scale(0.985); }
.primary { color: var(--_on-accent); background: var(--_accent); }
.primary:hover { background: color-mix(in srgb, var(--_accent) 88%, #000); }
.plain { color: var(--_ink); background: transparent; }
.plain:hover { background: color-mix(in srgb, var(--_ink) 6%, transparent); }
:is(button, select, input):focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }

.badge { display: grid; place-items: center; width: 4.5rem; height: 4.5rem; margin: 0 auto 1.25rem; border-radius: 50%; color: var(--_accent); background: color-mix(in srgb, var(--_accent) 10%, transparent); }
.badge .icon { width: 2.25rem; height: 2.25rem; stroke-width: 1.9; }
.badge.failure, .badge.camera { color: var(--_bad); background: color-mix(in srgb, var(--_bad) 9%, transparent); }
.badge.success .icon path { stroke-dasharray: 24; animation: draw 0.5s 0.1s ease-out backwards; }
@keyframes draw { from { stroke-dashoffset: 24; } }

.spinner { width: 3rem; height: 3rem; margin: 0 auto 1.5rem; border-radius: 50%; border: 3px solid var(--_line); border-top-color: var(--_accent); animation: spin 0.9s linear infinite; }
@keyframes spin { to { transform: rotate(1turn); } }
[data-screen="waiting"] .panel { background: transparent; box-shadow: none; }

.qr { width: min(15rem, 100%); margin: 1rem auto; padding: 0.25rem; border: 1px solid var(--_line); border-radius: calc(var(--_corner) * 0.65); background: #fff; color: #000; }
.qr svg { display: block; width: 100%; height: auto; }

/* Light also in dark mode, because the screen lights the face. */
.stage { color-scheme: light; position: absolute; inset: 0; overflow: hidden; color: var(--_ink); background: var(--_ground); animation: appear 0.3s ease-out; }
@keyframes appear { from { opacity: 0; } }
.stage video { position: absolute; object-fit: cover; transform: scaleX(-1); background: #dfe3e0; }
.oval { position: absolute; inset: 0; width: 100%; height: 100%; }
.sheet { fill: var(--sheet, var(--_ground)); transition: fill-opacity 0.3s; }
.seeking .sheet { fill-opacity: 0.45; }
.flashing .sheet { fill-opacity: 1; transition: none; }
.rim { fill: none; stroke: rgb(23 33 30 / 16%); stroke-width: 2; }
.done { fill: none; stroke: var(--_accent); stroke-width: 5; stroke-linecap: round; stroke-dasharray: 0 1; transition: stroke-dasharray 0.25s; }
.stage[data-mood="asking"] .rim { stroke: rgb(23 33 30 / 30%); stroke-dasharray: 3 9; stroke-linecap: round; stroke-width: 3; }

.room { position: absolute; inset: max(20%, 104px) 5% 92px; }
.head { position: absolute; inset: 0 0 auto; height: max(20%, 104px); padding: 0.75rem 1rem 1.4rem; display: grid; place-items: end center; text-align: center; }
.guide, .notice { margin: 0; outline: none; padding: 0.55rem 1.2rem; max-width: 34rem; border-radius: 999px; font-size: clamp(1.2rem, 4.6vw, 1.7rem); font-weight: 650; line-height: 1.25; letter-spacing: -0.01em; text-wrap: balance; }
[dir="rtl"] :is(.guide, .notice) { letter-spacing: 0; }
:is(.flashing, .seeking) .guide { color: #111; background: rgb(255 255 255 / 80%); }
.notice { background: var(--_ink); color: var(--_card); font-size: 1.05rem; }
.controls { position: absolute; inset: auto 0 0; height: 84px; padding: 0 1rem max(0.75rem, env(safe-area-inset-bottom)); display: flex; gap: 0.75rem; align-items: center; justify-content: center; }
.ghost, .chooser { color: #17211e; background: rgb(255 255 255 / 82%); box-shadow: 0 0 0 1px rgb(23 33 30 / 10%); }
.ghost:hover { background: #fff; }
.chooser { display: inline-flex; min-width: 0; max-width: 16rem; gap: 0.4rem; align-items: center; min-height: 3.1rem; padding-inline: 1rem; border-radius: 999px; }
.act > .chooser { display: flex; max-width: none; margin-bottom: 0.75rem; color: inherit; background: transparent; box-shadow: 0 0 0 1px var(--_control); }
.cameras { min-width: 0; width: 100%; border: 0; border-radius: 999px; background: transparent; color: inherit; font: 500 0.95rem var(--_font); padding: 0.6rem 0.2rem; text-overflow: ellipsis; }

.gesture { position: absolute; left: 0; top: 0; width: 4rem; height: 4rem; display: grid; place-items: center; border-radius: 50%; color: var(--_on-accent); background: var(--_accent); animation: nudge 1.1s ease-in-out infinite alternate; }
.gesture .icon { width: 2.25rem; height: 2.25rem; stroke-width: 2.4; }
.gesture.right .icon { transform: scaleX(-1); }
.gesture.up .icon { transform: rotate(90deg); }
.gesture.down .icon { transform: rotate(-90deg); }
.gesture { --_way: -10px, 0; }
.gesture.right { --_way: 10px, 0; }
.gesture.up { --_way: 0, -10px; }
.gesture.down { --_way: 0, 10px; }
@keyframes nudge { to { transform: translate(var(--_way)); } }

.question { width: min(24rem, 100% - 2rem); padding: 1.75rem; border: 0; border-radius: var(--_corner); color: var(--_ink); background: var(--_card); text-align: center; }
.question::backdrop { background: rgb(10 16 14 / 55%); }
.question .actions { margin-top: 1.25rem; }
h2 { margin: 0 0 0.5rem; font-size: 1.3rem; line-height: 1.25; font-weight: 650; text-wrap: balance; }

:is(h1, p).spoken { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

/* Small screens, and large ones that are zoomed. Content that does not fit begins at its top. */
@media (max-width: 30rem), (max-height: 34rem) {
  [data-screen]:not([data-screen="waiting"]) .panel { width: 100%; height: 100%; max-height: none; border-radius: 0; box-shadow: none; align-content: safe center; display: grid; }
  .root { background: var(--_card); }
}
@media (max-width: 30rem) {
  .panel { padding: 1.25rem; }
  .tips { margin-top: 1rem; gap: 0.5rem; }
  .tips .icon { padding: 0.4rem; }
  .act { margin-top: 1rem; }
  .choice { margin-bottom: 1rem; padding: 0.75rem 0.9rem; }
  .actions { gap: 0.25rem; }
}
@media (max-height: 34rem) and (min-width: 30rem) and (orientation: landscape) {
  [data-screen]:not([data-screen="waiting"]) .panel { gap: 2rem; align-items: center; padding: 1rem max(1.5rem, env(safe-area-inset-left)); }
  .panel:has(> .act) { grid-template-columns: 1fr 1fr; }
  .act { margin-top: 0; }
  .tips { margin-top: 1rem; gap: 0.5rem; }
  .choice { margin-bottom: 1rem; }
  .actions { gap: 0.25rem; }
  .qr { margin-block: 0; }
}
@media (max-height: 34rem) and (orientation: landscape) {
  .head { inset-block: 0; inset-inline: 0 auto; width: 28%; height: auto; padding: 0.75rem; place-items: center; }
  .guide, .notice { border-radius: var(--_corner); font-size: clamp(1.05rem, 2.6vw, 1.4rem); }
  .room { inset-block: 4%; inset-inline: 28%; }
  .controls { inset-block: 0; inset-inline: auto 0; width: 28%; height: auto; flex-direction: column; padding: 0.5rem; }
  .controls button { padding-inline: 0.75rem; font-size: 1rem; }
  .chooser { max-width: 100%; }
}
@media (prefers-reduced-motion: reduce) {
  .panel, .stage, .gesture, .badge .icon path { animation: none !important; }
  .spinner { animation-duration: 2.4s; }
  .done { transition: none; }
}
@media (forced-colors: active) {
  .primary, .ghost, .plain, .chooser { border: 1px solid ButtonText; }
  .badge, .tips .icon, .question { border: 1px solid CanvasText; }
  .sheet { forced-color-adjust: none; }
  .guide, .notice, .gesture { border: 1px solid CanvasText; background: Canvas; }
  [role="switch"], .spinner { forced-color-adjust: none; }
  [role="switch"] { border: 2px solid ButtonText; background: ButtonFace; }
  [role="switch"]::after { inset-block: 0.1rem; background: ButtonText; }
  [role="switch"]:checked { border-color: Highlight; background: Highlight; }
  [role="switch"]:checked::after { background: HighlightText; }
  :is(button, select, input):focus-visible { outline-color: Highlight; }
  .spinner { border-color: GrayText; border-top-color: Highlight; }
}
`);

export default sheet;
