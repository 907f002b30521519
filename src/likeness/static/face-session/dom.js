// Makes elements without markup in strings, so that a page may require trusted types.

const SVG = "http://www.w3.org/2000/svg";

/** Make an HTML element with attributes, `on…` listeners and `class`. Children are elements or texts; null is skipped. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

const STROKES = {
  light: [
    "M12 4V2M12 22v-2M4 12H2M22 12h-2M6.3 6.3 4.9 4.9M19.1 19.1l-1.4-1.4M6.3 17.7l-1.4 1.4M19.1 4.9l-1.4 1.4",
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z",
  ],
  face: [
    "M12 3c-4 0-6.5 3-6.5 7.2C5.5 15.5 8.5 21 12 21s6.5-5.5 6.5-10.8C18.5 6 16 3 12 3Z",
    "M9.5 10.5v.6M14.5 10.5v.6M9.8 15c1.3 1 3.1 1 4.4 0",
  ],
  alone: ["M12 11.5a3.75 3.75 0 1 0 0-7.5 3.75 3.75 0 0 0 0 7.5Z", "M5 20.5c.4-3.8 3.3-6 7-6s6.6 2.2 7 6"],
  phone: [
    "M8 2.5h8a1.5 1.5 0 0 1 1.5 1.5v16a1.5 1.5 0 0 1-1.5 1.5H8A1.5 1.5 0 0 1 6.5 20V4A1.5 1.5 0 0 1 8 2.5Z",
    "M11 18.5h2",
  ],
  camera: ["M3.5 7.5h11a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1Z", "m15.5 11 6-3v8l-6-3"],
  done: ["m5 12.5 4.5 4.5L19 7.5"],
  problem: ["M12 7v6.5", "M12 17v.2"],
  close: ["M6 6l12 12M18 6 6 18"],
  turn: ["m14.5 5-7 7 7 7"],
  move: ["M19 12H5m6-6.5L4.5 12l6.5 6.5"],
  tilt: ["M18 16A8 8 0 0 0 6.5 9.5", "M6 5.5v4.5h4.5"],
};

/** Draw one of the line icons. It is decoration, and hidden from screen readers. */
export function icon(name) {
  const strokes = STROKES[name].map((d) => svg("path", { d }));
  return svg(
    "svg",
    { class: `icon icon-${name}`, viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    strokes,
  );
}
