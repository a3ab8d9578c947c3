import { Fault, RESOURCE_NOT_FOUND } from './fault.js';
import { PNG } from './media.js';

const texts = new Map([
  ['test://static-text', 'This is the content of the static text resource.'],
  ['test://watched-resource', 'Watch this resource.'],
]);

export const resources = [
  {
    uri: 'test://static-text',
    name: 'Static text',
    description: 'A text that never changes',
    mimeType: 'text/plain',
  },
  {
    uri: 'test://static-binary',
    name: 'Static image',
    description: 'An image that never changes',
    mimeType: 'image/png',
  },
  {
    uri: 'test://watched-resource',
    name: 'Watched text',
    description: 'A text that clients subscribe to',
    mimeType: 'text/plain',
  },
];

export const resourceTemplates = [
  {
    uriTemplate: 'test://template/{id}/data',
    name: 'Data by id',
    description: 'JSON that carries the id',
    mimeType: 'application/json',
  },
];

export function readResource(uri) {
  const value = texts.get(uri);
  if (value !== undefined) return { contents: [{ uri, mimeType: 'text/plain', text: value }] };
  if (uri === 'test://static-binary') return { contents: [{ uri, mimeType: 'image/png', blob: PNG }] };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) throw new Fault(RESOURCE_NOT_FOUND, 'Resource not found', { uri });
  const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
  return { contents: [{ uri, mimeType: 'application/json', text: data }] };
}
