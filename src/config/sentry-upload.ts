import { EnvReader } from './env-reader.js';

/** What `publish:sourcemap` needs. */
export interface SentryUpload {
  org: string;
  project: string;
  authToken: string;
  /** Of a Sentry of one's own. */
  url: string | undefined;
  /** What its program may see of our environment: how to reach the network, and nothing else. */
  network: Record<string, string>;
}

const NETWORK = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
];

/** Throws `ConfigError` with one line per variable that is missing or wrong. */
export function loadSentryUpload(env: Record<string, string | undefined> = process.env): SentryUpload {
  const reader = new EnvReader(env);
  const slug = 'as in the address of the project, https://ORG.sentry.io/projects/PROJECT/';
  const org = reader.text('SENTRY_ORG', isSlug, `the slug of the organization, ${slug}`);
  const project = reader.text('SENTRY_PROJECT', isSlug, `the slug of the project, ${slug}`);
  const authToken = reader.text('SENTRY_AUTH_TOKEN', isToken, 'an auth token without spaces', 'secret');
  const url = reader.text('SENTRY_URL', isUrl, 'the address of a Sentry, such as https://sentry.example.com');
  if (env['SENTRY_ORG'] === undefined || env['SENTRY_ORG'].trim() === '')
    reader.refuseTogether(`SENTRY_ORG is missing: the slug of the organization, ${slug}`);
  if (env['SENTRY_PROJECT'] === undefined || env['SENTRY_PROJECT'].trim() === '')
    reader.refuseTogether(`SENTRY_PROJECT is missing: the slug of the project, ${slug}`);
  if (env['SENTRY_AUTH_TOKEN'] === undefined || env['SENTRY_AUTH_TOKEN'].trim() === '')
    reader.refuseTogether(
      'SENTRY_AUTH_TOKEN is missing: an organization token, or one with the scope project:releases; Sentry makes it under Settings, Auth Tokens',
    );
  reader.throwIfMistaken();
  const network = Object.fromEntries(
    NETWORK.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
  return { org: org ?? '', project: project ?? '', authToken: authToken ?? '', url, network };
}

function isSlug(value: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,99}$/i.test(value);
}

function isToken(value: string): boolean {
  return /^[\x21-\x7e]{8,1024}$/.test(value);
}

function isUrl(value: string): boolean {
  const url = URL.parse(value);
  return url !== null && /^https?:$/.test(url.protocol);
}
