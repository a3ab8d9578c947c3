/** JSON, but not a JSON-RPC 2.0 message that can be relayed. The message says why, for a person. */
export class InvalidMessageError extends Error {
  override name = 'InvalidMessageError';
}
