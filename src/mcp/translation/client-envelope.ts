import { rawMembers, type Request } from '../jsonrpc/envelope.js';
import { scanObject, startOf } from '../jsonrpc/json-scanner.js';
import { META, MODERN_REVISIONS } from '../modern/modern-request.js';
import { isReserved } from './meta-keys.js';
import { changed } from './object-change.js';

/** The envelope goes with each request, so it has to be small. */
const MAX_CAPABILITIES_CHARS = 1 << 16;
const MAX_INFO_CHARS = 4096;

/** What a client of the handshake era said once, as the modern era wants it with each request. */
export class ClientEnvelope {
  /** A log level as JSON text; undefined as long as the client has not set one. */
  rawLevel: string | undefined;
  private readonly capabilities: string;
  private readonly clientInfo: string | undefined;

  constructor(initialize: Request) {
    const { params } = scanObject(initialize.text, startOf(initialize.text), ['params']).members;
    const { capabilities, clientInfo } = rawMembers(initialize, params, ['capabilities', 'clientInfo']);
    const isUsable =
      (capabilities?.length ?? 0) <= MAX_CAPABILITIES_CHARS && capabilities?.startsWith('{') === true;
    // Tasks became an extension that is not bridged.
    this.capabilities = isUsable ? changed(capabilities, { drop: (name) => name === 'tasks' }) : '{}';
    if (clientInfo?.startsWith('{') === true && clientInfo.length <= MAX_INFO_CHARS)
      this.clientInfo = clientInfo;
  }

  /** A request's text with the envelope in it, under another id. `params`: members to have, as JSON text. */
  wrap(text: string, id: number, params: Record<string, string> = {}): string {
    const envelope = {
      [META.protocolVersion]: JSON.stringify(MODERN_REVISIONS[0]),
      [META.clientCapabilities]: this.capabilities,
      ...(this.clientInfo !== undefined && { [META.clientInfo]: this.clientInfo }),
      ...(this.rawLevel !== undefined && { [META.logLevel]: this.rawLevel }),
    };
    return changed(text, {
      put: { id: String(id) },
      within: {
        params: {
          drop: (name) => name === 'inputResponses' || name === 'requestState',
          put: params,
          within: { _meta: { drop: isReserved, put: envelope } },
        },
      },
    });
  }
}
