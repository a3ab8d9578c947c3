import { defineConfig } from 'drizzle-kit';

/** `npm run db:generate` writes the next migration from the tables; it is applied when the service starts. */
export default defineConfig({
  dialect: 'sqlite',
  casing: 'snake_case',
  schema: './src/**/*.table.ts',
  out: './drizzle',
});
