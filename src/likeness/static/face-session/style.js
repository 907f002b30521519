// The look. Every colour, the corners and the typeface are custom properties that the embedding page may set on the element.

const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host {
  --_accent: var(--likeness-accent, #0b6e5f);
  --_on-accent: var(--likeness-on-accent, #fff);
  --_ground: var(--likeness-ground, #f6f7f5);
  --_card: var(--likeness-card, #fff);
  --_ink: var(--likeness-ink, #17211e);
  --_soft: var(--likeness-soft, #56635e);
  --_line: var(--likeness-line, #dfe5e1);
  --_bad: var(--likeness-bad, #a8381f);
  --_corner: var(--likeness-corner, 22px);
  --_font: var(--likeness-font, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Arabic", sans-serif);
  display: block;
  min-height: 100%;
  height: 100%;
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }

.root {
  position: relative;
  height: 100%;
  min-height: 30rem;
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
@keyframes arrive { from { opacity: 0; transform: translateY(8px); } }

h1 { margin: 0 0 0.5rem; font-size: clamp(1.5rem, 4.5vw, 1.85rem); line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; outline: none; text-wrap: balance; }
[dir="rtl"] h1 { letter-spacing: 0; }
.lead { margin: 0 0 1.5rem; color: var(--_soft); text-wrap: pretty; }
.note { margin: -0.75rem 0 1.5rem; color: var(--_ink); font-weight: 600; font-size: 0.95rem; }
.logo { display: block; max-width: 10rem; max-height: 3rem; margin: 0 auto 1.5rem; }

.icon { width: 1.5rem; height: 1.5rem; flex: none; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }

.tips { list-style: none; margin: 0 0 1.5rem; padding: 0; display: grid; gap: 0.9rem; text-align: start; }
.tips li { display: flex; gap: 0.9rem; align-items: center; line-height: 1.35; }
.tips .icon { box-sizing: content-box; padding: 0.55rem; border-radius: 50%; color: var(--_accent); background: color-mix(in srgb, var(--_accent) 9%, transparent); }

.choice { display: flex; gap: 1rem; align-items: center; justify-content: space-between; text-align: start; margin: 0 0 1.75rem; padding: 0.9rem 1.1rem; border: 1px solid var(--_line); border-radius: calc(var(--_corner) * 0.65); }
.choice label { font-weight: 600; cursor: pointer; }
.choice p { margin: 0.15rem 0 0; font-size: 0.86rem; line-height: 1.4; color: var(--_soft); }
[role="switch"] { appearance: none; flex: none; position: relative; width: 3rem; height: 1.75rem; margin: 0; border-radius: 1rem; background: #8b9691; cursor: pointer; transition: background 0.15s; }
[role="switch"]::after { content: ""; position: absolute; inset-block: 0.2rem; inset-inline-start: 0.2rem; width: 1.35rem; border-radius: 50%; background: #fff; transition: inset-inline-start 0.15s; }
[role="switch"]:checked { background: var(--_accent); }
[role="switch"]:checked::after { inset-inline-start: 1.45rem; }

.actions { display: grid; gap: 0.6rem; }
button { display: inline-flex; gap: 0.55rem; align-items: center; justify-content: center; min-height: 3.1rem; padding: 0.65rem 1.4rem; border: 0; border-radius: 999px; font: 600 1.0625rem/1.2 var(--_font); cursor: pointer; transition: background 0.15s, transform 0.05s; }
button:active { transform: scale(0.985); }
.primary { color: var(--_on-accent); background: var(--_accent); }
.primary:hover { background: color-mix(in srgb, var(--_accent) 88%, #000); }
.plain { color: var(--_ink); background: transparent; }
.plain:hover { background: color-mix(in srgb, var(--_ink) 6%, transparent); }
:is(button, select, input):focus-visible { outline: 3px solid color-mix(in srgb, var(--_accent) 60%, #fff); outline-offset: 2px; }

.badge { display: grid; place-items: center; width: 4.5rem; height: 4.5rem; margin: 0 auto 1.25rem; border-radius: 50%; color: var(--_accent); background: color-mix(in srgb, var(--_accent) 10%, transparent); }
.badge .icon { width: 2.25rem; height: 2.25rem; stroke-width: 1.9; }
.badge.failure, .badge.camera { color: var(--_bad); background: color-mix(in srgb, var(--_bad) 9%, transparent); }
.badge.success .icon path { stroke-dasharray: 24; animation: draw 0.5s 0.1s ease-out backwards; }
@keyframes draw { from { stroke-dashoffset: 24; } }

.spinner { width: 3rem; height: 3rem; margin: 0 auto 1.5rem; border-radius: 50%; border: 3px solid var(--_line); border-top-color: var(--_accent); animation: spin 0.9s linear infinite; }
@keyframes spin { to { transform: rotate(1turn); } }
[data-screen="waiting"] .panel { background: transparent; box-shadow: none; }

.qr { width: min(15rem, 100%); margin: 1rem auto 1.25rem; padding: 0.25rem; border: 1px solid var(--_line); border-radius: calc(var(--_corner) * 0.65); background: #fff; color: #000; }
.qr svg { display: block; width: 100%; height: auto; }

.stage { position: absolute; inset: 0; overflow: hidden; background: var(--_ground); animation: appear 0.3s ease-out; }
@keyframes appear { from { opacity: 0; } }
.stage video { position: absolute; object-fit: cover; transform: scaleX(-1); background: #dfe3e0; }
.oval { position: absolute; inset: 0; width: 100%; height: 100%; }
.sheet { fill: var(--sheet, var(--_ground)); }
.rim { fill: none; stroke: rgb(23 33 30 / 16%); stroke-width: 2; }
.done { fill: none; stroke: var(--_accent); stroke-width: 5; stroke-linecap: round; stroke-dasharray: 0 1; transition: stroke-dasharray 0.25s; }
.stage[data-mood="asking"] .rim { stroke: rgb(23 33 30 / 30%); stroke-dasharray: 3 9; stroke-linecap: round; stroke-width: 3; }

.head { position: absolute; inset: 0 0 auto; height: max(20%, 104px); padding: 0.75rem 1rem 1.4rem; display: grid; place-items: end center; text-align: center; }
.guide, .notice { margin: 0; outline: none; padding: 0.55rem 1.2rem; max-width: 34rem; border-radius: 999px; font-size: clamp(1.2rem, 4.6vw, 1.7rem); font-weight: 650; line-height: 1.25; letter-spacing: -0.01em; text-wrap: balance; }
[dir="rtl"] :is(.guide, .notice) { letter-spacing: 0; }
.flashing .guide { color: #111; background: rgb(255 255 255 / 72%); }
.notice { background: var(--_ink); color: var(--_card); font-size: 1.05rem; }
.controls { position: absolute; inset: auto 0 0; height: 84px; padding: 0 1rem max(0.75rem, env(safe-area-inset-bottom)); display: flex; gap: 0.75rem; align-items: center; justify-content: center; }
.ghost, .chooser { color: #17211e; background: rgb(255 255 255 / 82%); box-shadow: 0 0 0 1px rgb(23 33 30 / 10%); }
.ghost:hover { background: #fff; }
.chooser { display: inline-flex; gap: 0.4rem; align-items: center; min-height: 3.1rem; padding-inline: 1rem; border-radius: 999px; }
.cameras { max-width: 11rem; border: 0; border-radius: 999px; background: transparent; color: inherit; font: 500 0.95rem var(--_font); padding: 0.6rem 0.2rem; text-overflow: ellipsis; }

.gesture { position: absolute; left: 0; top: 0; width: 4rem; height: 4rem; display: grid; place-items: center; border-radius: 50%; color: var(--_on-accent); background: var(--_accent); animation: nudge 1.1s ease-in-out infinite alternate; }
.gesture .icon { width: 2.25rem; height: 2.25rem; stroke-width: 2.4; }
.gesture.right .icon { transform: scaleX(-1); }
.gesture { --_way: -10px; }
.gesture.right { --_way: 10px; }
@keyframes nudge { to { transform: translateX(var(--_way)); } }

.spoken { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@media (max-width: 30rem), (max-height: 34rem) {
  [data-screen]:not([data-screen="waiting"]) .panel { width: 100%; height: 100%; max-height: none; border-radius: 0; box-shadow: none; align-content: center; display: grid; }
  .root { background: var(--_card); }
}
@media (prefers-reduced-motion: reduce) {
  .panel, .stage, .gesture, .badge .icon path { animation: none !important; }
  .spinner { animation-duration: 2.4s; }
  .done { transition: none; }
}
@media (forced-colors: active) {
  .primary, .ghost, .plain { border: 1px solid ButtonText; }
  .sheet { forced-color-adjust: none; }
}
`);

export default sheet;
