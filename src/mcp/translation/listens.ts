import { type Notification, stringIn } from '../jsonrpc/envelope.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import { paramOf } from '../jsonrpc/param.js';
import { coveringUris, MAX_URI_CHARS } from './covering-uris.js';
import type { Notified } from './handshake-facts.js';
import { SUBSCRIPTION_ID } from './meta-keys.js';
import { errorLine } from './modern-answer.js';
import { changed } from './object-change.js';

const MAX_LISTENS = 100;
/** Summed over the listens, so that a change costs no more than this, however many watch the same. */
const MAX_WATCHED = 4096;
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
  /** By the resource: which listens watch it. */
  private readonly watchers = new Map<string, Set<string>>();
  private watched = 0;

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
    // An id that comes again takes the place of the first, which could not be cancelled any more.
    this.cancel(rawId);
    const honoured = honouredOf(asked, tells, MAX_WATCHED - this.watched);
    this.listens.set(rawId, honoured);
    for (const uri of honoured.resourceSubscriptions ?? []) this.watch(uri, rawId);
    return this.io.toClient(
      `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"${SUBSCRIPTION_ID}":${rawId}},"notifications":${JSON.stringify(honoured)}}}`,
    );
  }

  /** The client wants no more. False: there is no such listen. */
  cancel(rawId: string): boolean {
    const filter = this.listens.get(rawId);
    if (!filter) return false;
    this.listens.delete(rawId);
    for (const uri of filter.resourceSubscriptions ?? []) this.unwatch(uri, rawId);
    return true;
  }

  /** Pass a notification of the server to the listens that asked for it. */
  tell(message: Notification): Promise<void> | undefined {
    const [first, ...others] = this.listenersOf(message).map((rawId) =>
      this.io.toClient(tagged(message, rawId)),
    );
    return others.length === 0 ? first : Promise.all([first, ...others]).then(() => undefined);
  }

  /** The conversation ends in good order: each listen gets its result. */
  end(): void {
    const ended = [...this.listens.keys()];
    this.listens.clear();
    this.watchers.clear();
    this.watched = 0;
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

  private listenersOf(message: Notification): string[] {
    const { method } = message;
    if (method === 'notifications/resources/updated') return this.watchersOf(message);
    if (!Object.hasOwn(LIST_CHANGED, method)) return [];
    const wish = LIST_CHANGED[method as keyof typeof LIST_CHANGED];
    return [...this.listens].filter(([, filter]) => filter[wish] === true).map(([rawId]) => rawId);
  }

  private watchersOf(message: Notification): string[] {
    const uri = stringIn(paramOf(message, 'uri'));
    if (uri === undefined) return [];
    return [...new Set(coveringUris(uri).flatMap((watched) => [...(this.watchers.get(watched) ?? [])]))];
  }

  private watch(uri: string, rawId: string): void {
    const watchers = this.watchers.get(uri);
    this.watched++;
    if (watchers) {
      watchers.add(rawId);
      return;
    }
    this.watchers.set(uri, new Set([rawId]));
    this.io.subscribe(uri);
  }

  private unwatch(uri: string, rawId: string): void {
    const watchers = this.watchers.get(uri);
    if (watchers?.delete(rawId) !== true) return;
    this.watched--;
    if (watchers.size > 0) return;
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

/** @param room resources that it may watch; of more the first ones are honoured */
function honouredOf(asked: Filter, tells: Notified, room: number): Filter {
  const uris = tells.resourceSubscriptions ? asked.resourceSubscriptions : undefined;
  const short = uris?.filter((uri) => uri.length <= MAX_URI_CHARS);
  return {
    ...(asked.toolsListChanged === true && tells.toolsListChanged && { toolsListChanged: true }),
    ...(asked.promptsListChanged === true && tells.promptsListChanged && { promptsListChanged: true }),
    ...(asked.resourcesListChanged === true && tells.resourcesListChanged && { resourcesListChanged: true }),
    ...(short && { resourceSubscriptions: [...new Set(short)].slice(0, room) }),
  };
}

function tagged({ text }: Notification, rawId: string): string {
  return changed(text, { within: { params: { within: { _meta: { put: { [SUBSCRIPTION_ID]: rawId } } } } } });
}
