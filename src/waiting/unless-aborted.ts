/** What comes first: the end of the work, or that of the waiting for it, which leaves the work alone. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const waited = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) => {
    const give = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', give, { once: true, signal: waited.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    waited.abort();
  }
}
