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
/** A server that is slow to agree tells all the same, or never does. */
const AGREE_MS = 2000;

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
  /** `agreed` is called, once at most, with whether the server will tell. */
  subscribe(uri: string, agreed: (granted: boolean) => void): void;
  unsubscribe(uri: string): void;
  /** Until then what the server says unasked is not heard; undefined: it is. Never rejects. */
  untilHeard(): Promise<void> | undefined;
}

interface Listen {
  filter: Filter;
  /** What the server has not agreed to yet. */
  missing: number;
  isAcknowledged: boolean;
  late: NodeJS.Timeout | undefined;
}

interface Watch {
  /** Who watches the resource. */
  listens: Set<string>;
  isAgreed: boolean;
}

/**
 * The subscriptions of modern clients to a server that knows none: what it tells unasked goes to the listens that asked
 * for it (2026-07-28, basic/patterns/subscriptions), and resources are subscribed while at least one listen wants them.
 */
export class Listens {
  private readonly listens = new Map<string, Listen>();
  /** By the resource. */
  private readonly watches = new Map<string, Watch>();
  private watched = 0;

  constructor(private readonly io: ListensIo) {}

  /**
   * Answers with an error, or with the acknowledgement when the server has agreed, but after 2 s at the latest; what it
   * has refused by then is left out of it. `rawFilter`: params.notifications as JSON text.
   */
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
    const filter = honouredOf(asked, tells, MAX_WATCHED - this.watched);
    const { resourceSubscriptions: uris = [] } = filter;
    const listen: Listen = { filter, missing: uris.length + 1, isAcknowledged: false, late: undefined };
    this.listens.set(rawId, listen);
    for (const uri of uris) this.watch(uri, rawId, listen);
    const heard = this.io.untilHeard();
    const acknowledged = heard ? undefined : this.agreed(rawId, listen);
    void heard?.then(() => this.agreed(rawId, listen));
    if (!listen.isAcknowledged)
      listen.late = setTimeout(() => void this.acknowledge(rawId, listen), AGREE_MS);
    return acknowledged;
  }

  /** The client wants no more. False: there is no such listen. */
  cancel(rawId: string): boolean {
    const listen = this.listens.get(rawId);
    if (!listen) return false;
    clearTimeout(listen.late);
    this.listens.delete(rawId);
    for (const uri of listen.filter.resourceSubscriptions ?? []) this.unwatch(uri, rawId);
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
    this.clear();
    for (const rawId of ended) {
      void this.io.toClient(
        `{"jsonrpc":"2.0","id":${rawId},"result":{"resultType":"complete","_meta":{"${SUBSCRIPTION_ID}":${rawId}}}}`,
      );
    }
  }

  /** The server is gone. */
  clear(): void {
    for (const { late } of this.listens.values()) clearTimeout(late);
    this.listens.clear();
    this.watches.clear();
    this.watched = 0;
  }

  private limitOf(rawFilter: string | undefined): string | undefined {
    if (this.listens.size >= MAX_LISTENS) return `More than ${MAX_LISTENS} subscriptions are open`;
    return (rawFilter?.length ?? 0) > MAX_FILTER_CHARS
      ? `A subscription's notifications have more than ${MAX_FILTER_CHARS} characters`
      : undefined;
  }

  private agreed(rawId: string, listen: Listen): Promise<void> | undefined {
    listen.missing--;
    return listen.missing === 0 ? this.acknowledge(rawId, listen) : undefined;
  }

  private acknowledge(rawId: string, listen: Listen): Promise<void> | undefined {
    if (listen.isAcknowledged || this.listens.get(rawId) !== listen) return undefined;
    clearTimeout(listen.late);
    listen.isAcknowledged = true;
    return this.io.toClient(
      `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"${SUBSCRIPTION_ID}":${rawId}},"notifications":${JSON.stringify(listen.filter)}}}`,
    );
  }

  /** Nothing comes before the acknowledgement: until then the subscription does not stand. */
  private listenersOf(message: Notification): string[] {
    const { method } = message;
    if (method === 'notifications/resources/updated') return this.watchersOf(message);
    if (!Object.hasOwn(LIST_CHANGED, method)) return [];
    const wish = LIST_CHANGED[method as keyof typeof LIST_CHANGED];
    return [...this.listens]
      .filter(([, { filter, isAcknowledged }]) => isAcknowledged && filter[wish] === true)
      .map(([rawId]) => rawId);
  }

  private watchersOf(message: Notification): string[] {
    const uri = stringIn(paramOf(message, 'uri'));
    if (uri === undefined) return [];
    const all = coveringUris(uri).flatMap((watched) => [...(this.watches.get(watched)?.listens ?? [])]);
    return [...new Set(all)].filter((rawId) => this.listens.get(rawId)?.isAcknowledged);
  }

  private watch(uri: string, rawId: string, listen: Listen): void {
    const known = this.watches.get(uri);
    this.watched++;
    if (known) {
      known.listens.add(rawId);
      if (known.isAgreed) listen.missing--;
      return;
    }
    const watch: Watch = { listens: new Set([rawId]), isAgreed: false };
    this.watches.set(uri, watch);
    this.io.subscribe(uri, (granted) => {
      if (this.watches.get(uri) === watch) this.settle(uri, watch, granted);
    });
  }

  private settle(uri: string, watch: Watch, granted: boolean): void {
    watch.isAgreed = true;
    if (!granted) {
      this.watches.delete(uri);
      this.watched -= watch.listens.size;
    }
    for (const rawId of watch.listens) {
      const listen = this.listens.get(rawId);
      if (!listen) continue;
      const { resourceSubscriptions: uris } = listen.filter;
      if (!granted && uris) listen.filter.resourceSubscriptions = uris.filter((one) => one !== uri);
      void this.agreed(rawId, listen);
    }
  }

  private unwatch(uri: string, rawId: string): void {
    const watch = this.watches.get(uri);
    if (watch?.listens.delete(rawId) !== true) return;
    this.watched--;
    if (watch.listens.size > 0) return;
    this.watches.delete(uri);
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
