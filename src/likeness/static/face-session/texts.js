// The texts on the screen: a shipped language, with the caller's own texts.

const LANGUAGES = ["en", "ar"];

/** Choose a shipped language: the wanted one, else the browser's first one that is shipped, else English. */
export function chooseLanguage(wanted) {
  const asked = wanted ? [wanted] : (navigator.languages ?? []);
  return asked.map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => LANGUAGES.includes(tag)) ?? "en";
}

/** Load a language, and replace its texts by the caller's own. Give a function from key to text. */
export async function loadTexts(language, overrides = {}) {
  const { default: shipped } = await import(`./texts/${language}.js`);
  const texts = { ...shipped, ...overrides };
  const say = (key, values = {}) =>
    (texts[key] ?? texts.UNEXPECTED_ERROR).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
  say.direction = texts.direction;
  say.language = language;
  say.has = (key) => key in texts;
  return say;
}
