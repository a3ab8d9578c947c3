import { setTimeout as delay } from 'node:timers/promises';
import { PNG, WAV } from './media.js';
import { log, reportProgress } from './notices.js';
import { inputs, text } from './results.js';

const STEP_MS = 50;

/** The official conformance suite's tools that need nothing of the client; names and texts are the suite's. */
export const contentTools = [
  {
    name: 'test_simple_text',
    description: 'One text',
    inputSchema: inputs(),
    run: () => text('This is a simple text response for testing.'),
  },
  {
    name: 'test_image_content',
    description: 'One image',
    inputSchema: inputs(),
    run: () => ({ content: [{ type: 'image', data: PNG, mimeType: 'image/png' }] }),
  },
  {
    name: 'test_audio_content',
    description: 'One sound',
    inputSchema: inputs(),
    run: () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }),
  },
  {
    name: 'test_embedded_resource',
    description: 'One embedded resource',
    inputSchema: inputs(),
    run: () => ({
      content: [
        {
          type: 'resource',
          resource: {
            uri: 'test://embedded-resource',
            mimeType: 'text/plain',
            text: 'This is an embedded resource content.',
          },
        },
      ],
    }),
  },
  {
    name: 'test_multiple_content_types',
    description: 'A text, an image and a resource',
    inputSchema: inputs(),
    run: () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: PNG, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: {
            uri: 'test://mixed-content-resource',
            mimeType: 'application/json',
            text: JSON.stringify({ test: 'data', value: 123 }),
          },
        },
      ],
    }),
  },
  {
    name: 'test_tool_with_logging',
    description: 'Three log messages, then a text',
    inputSchema: inputs(),
    async run(_args, extra) {
      await log(extra, 'Tool execution started');
      await delay(STEP_MS);
      await log(extra, 'Tool processing data');
      await delay(STEP_MS);
      await log(extra, 'Tool execution completed');
      return text('Three messages were logged.');
    },
  },
  {
    name: 'test_tool_with_progress',
    description: 'Progress 0, 50 and 100 of 100, then a text',
    inputSchema: inputs(),
    async run(_args, extra) {
      for (const progress of [0, 50, 100]) {
        if (progress > 0) await delay(STEP_MS);
        await reportProgress(extra, { progress, total: 100 });
      }
      return text('Progress was reported three times.');
    },
  },
  {
    name: 'test_error_handling',
    description: 'Always fails',
    inputSchema: inputs(),
    run() {
      throw new Error('This tool intentionally returns an error for testing');
    },
  },
  {
    name: 'test_reconnection',
    description: 'A text after a moment',
    inputSchema: inputs(),
    async run() {
      await delay(STEP_MS);
      return text('The answer came.');
    },
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Its schema uses JSON Schema 2020-12 keywords',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        isGift: { type: 'boolean' },
        greeting: { type: 'string' },
        invoice: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['name'] }, { required: ['address'] }] }],
      if: { properties: { isGift: { const: true } } },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { required: ['greeting'] },
      else: { required: ['invoice'] },
      additionalProperties: false,
    },
    run: () => text('The schema is what matters.'),
  },
];
