/** The inputSchema of a tool whose arguments are these; `required` names those that must be there. */
export function inputs(properties = {}, required = Object.keys(properties)) {
  return { type: 'object', properties, required };
}

/** A result of one text. */
export function text(value) {
  return { content: [{ type: 'text', text: value }] };
}

/** A result of one text that holds JSON. */
export function json(value) {
  return text(JSON.stringify(value));
}
