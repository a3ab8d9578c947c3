/** An error that is answered as a JSON-RPC error with this code, by either SDK. */
export class Fault extends Error {
  constructor(code, message, data) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export const INVALID_PARAMS = -32602;
/** Revision 2026-07-28 answers -32602 instead; its SDK sees to that. */
export const RESOURCE_NOT_FOUND = -32002;
