import { type Notification, rawMembers, stringIn } from '../jsonrpc/envelope.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import { scanObject, startOf } from '../jsonrpc/json-scanner.js';
import type { Notified } from './handshake-facts.js';
import { SUBSCRIPTION_ID } from './meta-keys.js';
import { errorLine } from './modern-answer.js';
import { changed } from './object-change.js';

const MAX_LISTENS = 100;
/** Resources that all listens together watch. */
const MAX_WATCHED = 1000;
const MAX_FILTER_CHARS = 1 << 18;

/** What a client asks for with `subscriptions/listen`; also what it is told that it gets. */
interface Filter {
  toolsListChanged?: boolean;
  promptsListChanged?: boolean;
  resourcesListChanged?: boolean;
  resourceSubscriptions?: string[];
}

const LIST_CHANGED = {
  'notifications/tools/list_changed': 'toolsListChanged',
  'notifications/prompts/list_changed': 'promptsListChanged',
  'notifications/resources/list_changed': 'resourcesListChanged',
} as const;

export interface ListensIo {
  toClient(text: string): Promise<void> | undefined;
  subscribe(uri: string): void;
  unsubscribe(uri: string): void;
}

/**
 * The subscriptions of modern clients to a server that knows none: what it tells unasked goes to the listens that asked
 * for it (2026-07-28, basic/patterns/subscriptions), and resources are subscribed while at least one listen wants them.
 */
export class Listens {
  private readonly listens = new Map<string, Filter>();
  private readonly watchers = new Map<string, number>();

  constructor(private readonly io: ListensIo) {}

  /** Answers with the acknowledgement, or with an error. `rawFilter`: params.notifications as JSON text. */
  open(rawId: string, rawFilter: string | undefined, tells: Notified): Promise<void> | undefined {
    const problem = this.limitOf(rawFilter);
    if (problem !== undefined) return this.io.toClient(errorLine(rawId, RPC.serverError, problem));
    const asked = readFilter(rawFilter);
    if (!asked) {
      const message =
        'Invalid params: notifications must be an object, resourceSubscriptions in it an array of strings';
      return this.io.toClient(errorLine(rawId, RPC.invalidParams, message));
    }
    const honoured = honouredOf(asked, tells);
    const added = new Set(honoured.resourceSubscriptions?.filter((uri) => !this.watchers.has(uri)));
    if (this.watchers.size + added.size > MAX_WATCHED) {
      const message = `More than ${MAX_WATCHED} resources are watched; end other subscriptions first`;
      return this.io.toClient(errorLine(rawId, RPC.serverError, message));
    }
    this.listens.set(rawId, honoured);
    for (const uri of honoured.resourceSubscriptions ?? []) this.watch(uri);
    return this.io.toClient(
      `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"${SUBSCRIPTION_ID}":${rawId}},"notifications":${JSON.stringify(honoured)}}}`,
    );
  }

  /** The client wants no more. False: there is no such listen. */
  cancel(rawId: string): boolean {
    const filter = this.listens.get(rawId);
    if (!filter) return false;
    this.listens.delete(rawId);
    for (const uri of filter.resourceSubscriptions ?? []) this.unwatch(uri);
    return true;
  }

  /** Pass a notification of the server to the listens that asked for it. */
  tell(message: Notification): Promise<void> | undefined {
    const wanted = [...this.listens].filter(([, filter]) => wants(filter, message));
    const [first, ...others] = wanted.map(([rawId]) => this.io.toClient(tagged(message, rawId)));
    return others.length === 0 ? first : Promise.all([first, ...others]).then(() => undefined);
  }

  /** The conversation ends in good order: each listen gets its result. */
  end(): void {
    const ended = [...this.listens.keys()];
    this.listens.clear();
    this.watchers.clear();
    for (const rawId of ended) {
      void this.io.toClient(
        `{"jsonrpc":"2.0","id":${rawId},"result":{"resultType":"complete","_meta":{"${SUBSCRIPTION_ID}":${rawId}}}}`,
      );
    }
  }

  private limitOf(rawFilter: string | undefined): string | undefined {
    if (this.listens.size >= MAX_LISTENS) return `More than ${MAX_LISTENS} subscriptions are open`;
    return (rawFilter?.length ?? 0) > MAX_FILTER_CHARS
      ? `A subscription's notifications have more than ${MAX_FILTER_CHARS} characters`
      : undefined;
  }

  private watch(uri: string): void {
    const count = this.watchers.get(uri) ?? 0;
    this.watchers.set(uri, count + 1);
    if (count === 0) this.io.subscribe(uri);
  }

  private unwatch(uri: string): void {
    const count = this.watchers.get(uri) ?? 0;
    if (count > 1) {
      this.watchers.set(uri, count - 1);
      return;
    }
    this.watchers.delete(uri);
    this.io.unsubscribe(uri);
  }
}

function readFilter(raw: string | undefined): Filter | undefined {
  if (raw?.startsWith('{') !== true) return undefined;
  const filter = JSON.parse(raw) as Filter;
  const { resourceSubscriptions: uris } = filter;
  const isValid =
    uris === undefined || (Array.isArray(uris) && uris.every((uri: unknown) => typeof uri === 'string'));
  return isValid ? filter : undefined;
}

function honouredOf(asked: Filter, tells: Notified): Filter {
  const uris = tells.resourceSubscriptions ? asked.resourceSubscriptions : undefined;
  return {
    ...(asked.toolsListChanged === true && tells.toolsListChanged && { toolsListChanged: true }),
    ...(asked.promptsListChanged === true && tells.promptsListChanged && { promptsListChanged: true }),
    ...(asked.resourcesListChanged === true && tells.resourcesListChanged && { resourcesListChanged: true }),
    ...(uris && { resourceSubscriptions: [...new Set(uris)] }),
  };
}

function wants(filter: Filter, message: Notification): boolean {
  const { method, text } = message;
  if (method === 'notifications/resources/updated') {
    const { params } = scanObject(text, startOf(text), ['params']).members;
    const uri = stringIn(rawMembers(message, params, ['uri']).uri);
    return (
      uri !== undefined && (filter.resourceSubscriptions ?? []).some((watched) => isWatched(uri, watched))
    );
  }
  if (!Object.hasOwn(LIST_CHANGED, method)) return false;
  return filter[LIST_CHANGED[method as keyof typeof LIST_CHANGED]] === true;
}

/** A server may tell of a part of what was subscribed (2025-11-25, server/resources). */
export function isWatched(uri: string, watched: string): boolean {
  return uri === watched || uri.startsWith(watched.endsWith('/') ? watched : `${watched}/`);
}

function tagged({ text }: Notification, rawId: string): string {
  return changed(text, { within: { params: { within: { _meta: { put: { [SUBSCRIPTION_ID]: rawId } } } } } });
}
