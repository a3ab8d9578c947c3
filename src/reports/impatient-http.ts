import http from 'node:http';
import https from 'node:https';
import type { makeNodeTransport } from '@sentry/node';

type HttpModule = NonNullable<Parameters<typeof makeNodeTransport>[0]['httpModule']>;
type OnResponse = (response: http.IncomingMessage) => void;

const PATIENCE_MS = 10_000;

/** For Sentry's transport, which itself would wait for ever for a host that takes a request and does not answer. */
export const impatientHttp: HttpModule = {
  request(options, callback) {
    const wanted = options as http.RequestOptions;
    const { request } = wanted.protocol === 'https:' ? https : http;
    const patience = AbortSignal.timeout(PATIENCE_MS);
    return request({ ...wanted, signal: patience }, (response) => {
      // One that is broken off: what has been reported by then is no worse off.
      response.on('error', () => undefined);
      // Theirs knows a response as having what it always has.
      (callback as OnResponse | undefined)?.(response);
    });
  },
};
