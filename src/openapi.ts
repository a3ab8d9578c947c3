import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { API_KEY_SCHEME } from './tenancy/api-auth.js';

const DOCUMENT_PATH = 'api/openapi.json';

/** Swagger UI at /api and the document at /api/openapi.json. Both are public: they hold no data. */
export function serveOpenApi(app: INestApplication): void {
  SwaggerModule.setup('api', app, () => documentOf(app), {
    jsonDocumentUrl: DOCUMENT_PATH,
    raw: ['json'],
    customSiteTitle: 'mcp-runner API',
    swaggerOptions: { persistAuthorization: true },
  });
}

function documentOf(app: INestApplication): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('mcp-runner')
    .setDescription('Runs any MCP server in its own gVisor sandbox and gives it a URL.')
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer('/')
    .addTag('deployment', 'MCP servers in sandboxes')
    .addTag('event', 'What happens to them')
    .addTag('health', 'Is everything there that deployments need?')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, API_KEY_SCHEME);
  const document = SwaggerModule.createDocument(app, builder.build(), {
    operationIdFactory: (_controller, method) => method,
  });
  closeRequests(document);
  return document;
}

/** Requests with unknown fields are refused, so their schemas say so. */
function closeRequests(document: OpenAPIObject): void {
  for (const operations of Object.values(document.paths)) {
    const body = operations.post?.requestBody;
    if (body !== undefined) closeReferences(document, body);
  }
}

function closeReferences(document: OpenAPIObject, part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  for (const value of Object.values(part)) closeReferences(document, value);
  if (!('$ref' in part)) return;
  const schema = document.components?.schemas?.[String(part.$ref).replace('#/components/schemas/', '')];
  if (schema === undefined || '$ref' in schema) return;
  schema.additionalProperties = false;
  closeReferences(document, schema.properties);
}
