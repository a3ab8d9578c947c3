/** Requests as they stand on the wire, to be written into a socket in any pieces. */
export function post(headers: Record<string, string | number>, message: object): string {
  const body = JSON.stringify(message);
  return (
    head('POST', {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...headers,
    }) + body
  );
}

export function listen(headers: Record<string, string | number>): string {
  return head('GET', headers);
}

function head(method: string, headers: Record<string, string | number>): string {
  const lines = Object.entries({ host: 'x', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} / HTTP/1.1\r\n${lines.join('')}\r\n`;
}
