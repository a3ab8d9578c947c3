import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOkResponse, getSchemaPath } from '@nestjs/swagger';
import { LogLineDto, LogPageDto } from './read-logs.dto.js';

const DESCRIPTION = [
  'The newest lines, at most 2 MB of them. `text/plain` where the client asks for it: time, process, session, stream and',
  'text, with control characters escaped. With `follow=true` a stream without end of `log` events, whose `data` is a',
  'LogLine; with Last-Event-ID it goes on behind that line, and `reset` says that lines between are gone. `end`: the',
  'deployment was deleted. A comment comes every 15 s; a client that reads nothing for 30 s is cut off; a tenant may have',
  '64 streams.',
].join(' ');

const LINE = {
  at: '2026-01-31T12:00:00.000Z',
  process: 3,
  session: 's_1f0c3a52b1f9',
  stream: 'stderr',
  text: 'listening',
};
const PLAIN = `${LINE.at} ${LINE.process} ${LINE.session} ${LINE.stream} ${LINE.text}\n`;
const EVENT = `id: 7\nevent: log\ndata: ${JSON.stringify(LINE)}\n\n`;

/** Documents a route that answers with a deployment's log. */
export function ApiLog(): MethodDecorator {
  const text = { type: 'string' } as const;
  return applyDecorators(
    ApiExtraModels(LogPageDto, LogLineDto),
    ApiHeader({
      name: 'Last-Event-ID',
      required: false,
      description: 'With `follow`: the `id` of the last line that the client has.',
      schema: { type: 'string', example: '7' },
    }),
    ApiOkResponse({
      description: DESCRIPTION,
      content: {
        'application/json': { schema: { $ref: getSchemaPath(LogPageDto) } },
        'text/plain': { schema: text, examples: { line: { value: PLAIN } } },
        'text/event-stream': { schema: text, examples: { line: { value: EVENT } } },
      },
    }),
  );
}
