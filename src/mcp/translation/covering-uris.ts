/** Of a resource that can be watched; a longer one is not looked up. */
export const MAX_URI_CHARS = 8192;
/** Deeper than any server names its resources; what is deeper is a part of its first parents only. */
const MAX_PARENTS = 100;

/**
 * The URIs whose watchers hear of a change of `uri`: itself and what it is a part of, with and without the slash, because
 * a server may tell of a part of what was subscribed (2025-11-25, server/resources). They are few, whatever the URI says,
 * so that looking them up costs the same however much is watched.
 */
export function coveringUris(uri: string): string[] {
  const found = new Set<string>();
  if (uri.length <= MAX_URI_CHARS) found.add(uri);
  let slash = uri.indexOf('/');
  for (let parents = 0; parents < MAX_PARENTS; parents++) {
    if (slash < 0 || slash >= MAX_URI_CHARS) break;
    found.add(uri.slice(0, slash)).add(uri.slice(0, slash + 1));
    slash = uri.indexOf('/', slash + 1);
  }
  return [...found];
}
