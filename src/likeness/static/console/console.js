// What every page of the console does: the menu of narrow screens, and tabs.

const menu = /** @type {HTMLButtonElement | null} */ (document.querySelector(".menu"));
const nav = document.getElementById("nav");
if (menu && nav) {
  const narrow = matchMedia("(max-width: 52rem)");
  /** @param {boolean} open */
  const show = (open) => {
    nav.hidden = narrow.matches && !open;
    menu.setAttribute("aria-expanded", String(open));
  };
  menu.hidden = false;
  menu.addEventListener("click", () => show(menu.getAttribute("aria-expanded") !== "true"));
  narrow.addEventListener("change", () => show(false));
  show(false);
}

/** @param {HTMLElement} chosen */
function choose(chosen) {
  for (const tab of chosen.parentElement?.querySelectorAll('[role="tab"]') ?? []) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.toggleAttribute("tabindex", tab !== chosen);
    if (tab !== chosen) tab.setAttribute("tabindex", "-1");
    const panel = document.getElementById(tab.getAttribute("aria-controls") ?? "");
    if (panel) panel.hidden = tab !== chosen;
  }
  chosen.focus();
}

document.addEventListener("click", ({ target }) => {
  const tab = target instanceof Element ? target.closest('[role="tab"]') : null;
  if (tab instanceof HTMLElement) choose(tab);
});
document.addEventListener("keydown", ({ key, target }) => {
  if (!(target instanceof HTMLElement) || target.role !== "tab" || !["ArrowLeft", "ArrowRight"].includes(key)) return;
  const forwards = (key === "ArrowRight") === (document.documentElement.dir !== "rtl");
  const next = forwards ? target.nextElementSibling : target.previousElementSibling;
  if (next instanceof HTMLElement) choose(next);
});
