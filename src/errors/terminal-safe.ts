/** What JSON leaves as it is, but a terminal obeys or an eye does not see: C1 controls, line separators, directions. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
/** What JSON escapes itself, and plain text does not; a tab does no harm. */
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000a-\u001f]/g;

/** JSON that says the same, and may be shown on a terminal whatever stands in it. */
export function terminalSafe(json: string): string {
  return json.replace(UNSEEN, escaped);
}

/** One line of plain text that may be shown on a terminal. */
export function terminalSafeLine(text: string): string {
  return terminalSafe(text.replace(CONTROLS, escaped));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
