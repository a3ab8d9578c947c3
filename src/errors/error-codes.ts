/** Every error a user can meet: code → HTTP status and title. The code is stable; clients may switch on it. */
export const ERRORS = {
  // requests
  validation_failed: { status: 422, title: 'The request has invalid fields' },
  bad_request: { status: 400, title: 'The request is malformed' },
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json' },
  body_too_large: { status: 413, title: 'The body is too large' },
  route_not_found: { status: 404, title: 'There is nothing at this address' },
  unauthorized: { status: 401, title: 'A valid key is required' },
  forbidden_origin: { status: 403, title: 'This Host or Origin is not allowed' },
  internal_error: { status: 500, title: 'Something went wrong on our side' },
  shutting_down: { status: 503, title: 'The service is shutting down' },
  // deployments
  deployment_not_found: { status: 404, title: 'No such deployment' },
  deployment_failed: { status: 503, title: 'The deployment has failed' },
  deployment_not_ready: { status: 503, title: 'The deployment is not running yet' },
  deployment_deleting: { status: 409, title: 'The deployment is being deleted' },
  state_conflict: { status: 409, title: 'That is not possible in its present state' },
  capacity_exhausted: { status: 503, title: 'No room is left for running deployments' },
  uid_pool_exhausted: { status: 503, title: 'No Linux user ids are left for deployments' },
  address_pool_exhausted: { status: 503, title: 'No subnets are left for deployments' },
  // sandboxes; also the codes of a deployment's statusReason
  runtime_unavailable: { status: 503, title: 'The container engine or the sandbox runtime is not available' },
  image_not_found: { status: 422, title: 'The image does not exist or is private' },
  image_pull_failed: { status: 502, title: 'The image could not be pulled' },
  image_invalid: { status: 422, title: 'The image cannot run here' },
  sandbox_start_failed: { status: 502, title: 'The sandbox could not be started' },
  sandbox_gone: { status: 503, title: 'The sandbox is not running' },
  resize_refused: { status: 409, title: 'The limits of the running sandbox cannot be changed' },
  start_timeout: { status: 504, title: 'The server did not start in time' },
  server_exited: { status: 502, title: 'The MCP server exited' },
  server_invalid: { status: 502, title: 'The MCP server does not speak MCP' },
  out_of_memory: { status: 502, title: 'The server ran out of memory' },
  disk_full: { status: 502, title: 'The disk limit is reached' },
  // sessions
  server_stopped: { status: 503, title: 'The MCP server was stopped' },
  request_cancelled: { status: 499, title: 'The client cancelled the request' },
  session_not_found: { status: 404, title: 'No such session' },
  session_ended: { status: 404, title: 'The session has ended' },
  session_limit: { status: 503, title: 'All sessions of this deployment are in use' },
  // events
  event_streams_limit: { status: 503, title: 'All event streams of this tenant are in use' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;
