const QUOTE = '. It said:\n';

/** A sentence of ours, without its full stop, and behind it what the server said last. */
export function withLastWords(sentence: string, words: string): string {
  return words === '' ? sentence : `${sentence}${QUOTE}${words}`;
}

/** The sentence alone, for clients who may not know what a server said that served others. */
export function withoutLastWords(text: string): string {
  const end = text.indexOf(QUOTE);
  return end < 0 ? text : text.slice(0, end);
}
