import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOkResponse } from '@nestjs/swagger';
import { CrashEventDto, ResetEventDto, StatusEventDto } from './event.dto.js';

const DESCRIPTION = [
  'A stream without end. The `data` of each event is one line of JSON: `status` (StatusEvent), `crash` (CrashEvent),',
  'or `reset` (ResetEvent): events were missed, so list the deployments again. Without Last-Event-ID the stream begins',
  'with what happens next; with it, it goes on behind that event. The newest 1,000 events are kept, in memory. A',
  'comment comes every 15 s; a client that reads nothing for 30 s is cut off; a tenant may have 64 streams.',
].join(' ');

const EXAMPLE = [
  'retry: 2000',
  'id: 5d1c0f3a-41',
  '',
  'id: 5d1c0f3a-42',
  'event: status',
  'data: {"type":"status","deploymentId":"dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b","at":"2026-01-31T12:00:00.000Z",' +
    '"from":"starting","to":"running","code":"ready","message":"The MCP server answers."}',
  '',
  '',
].join('\n');

/** Documents a route that answers with the stream. */
export function ApiEventStream(): MethodDecorator {
  return applyDecorators(
    ApiExtraModels(StatusEventDto, CrashEventDto, ResetEventDto),
    ApiHeader({
      name: 'Last-Event-ID',
      required: false,
      description: 'The `id` of the last event that the client has.',
      schema: { type: 'string', example: '5d1c0f3a-42' },
    }),
    ApiOkResponse({
      description: DESCRIPTION,
      content: {
        'text/event-stream': { schema: { type: 'string' }, examples: { status: { value: EXAMPLE } } },
      },
    }),
  );
}
