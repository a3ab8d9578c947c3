/** How clients of the modern era write what does not fit into a header. With one marker alone a value is plain. */
const ENCODED = /^=\?base64\?(.*)\?=$/;
/** What a header may hold as it is: visible ASCII, and blanks and tabs inside. */
const PLAIN = /^[\t\x20-\x7e]*$/;

/** The text that a header stands for; undefined where it is neither plain nor properly encoded. */
export function decodeHeaderValue(value: string): string | undefined {
  const trimmed = value.replace(/^[ \t]+|[ \t]+$/g, '');
  const encoded = ENCODED.exec(trimmed)?.[1];
  if (encoded === undefined) return PLAIN.test(trimmed) ? trimmed : undefined;
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
