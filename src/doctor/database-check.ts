import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DatabaseExam, examineDatabase } from '../database/database-exam.js';
import { MIGRATIONS_FOLDER, readMigrations } from '../database/migrations.js';
import { reasonOf } from '../database/start-refusal.js';
import type { Finding } from './finding.js';

const NAME = 'database';

/** Whether it is whole, and of the schema that this version has. */
export function checkDatabase(dataDir: string): Finding {
  const path = join(dataDir, 'mcp-runner.sqlite');
  if (!existsSync(path))
    return {
      name: NAME,
      level: 'fail',
      message: `There is no ${path}.`,
      fix: 'Set DATA_DIR to what the service has, start the service once, or restore a backup.',
    };
  try {
    return findingOf(examineDatabase(path, readMigrations(MIGRATIONS_FOLDER)));
  } catch (error) {
    const fix = 'Look at its permissions and at the disk.';
    return { name: NAME, level: 'fail', message: `It cannot be read (${reasonOf(error)}).`, fix };
  }
}

function findingOf(exam: DatabaseExam): Finding {
  if (exam.state === 'same')
    return { name: NAME, level: 'ok', message: `It is whole, schema ${exam.schema.tag}.` };
  if (exam.state === 'older')
    return {
      name: NAME,
      level: 'warn',
      message: `It is whole, but of an older version, schema ${exam.schema.tag}.`,
      fix: 'The next start of this version brings it up to date, and keeps a copy.',
    };
  if (exam.state === 'newer')
    return {
      name: NAME,
      level: 'fail',
      message: `A newer version of mcp-runner made it (migration of ${new Date(exam.when).toISOString()}).`,
      fix: 'Use that version.',
    };
  return {
    name: NAME,
    level: 'fail',
    message: `It is ${exam.state} (${exam.why}).`,
    fix: 'Stop the service and restore a backup: mcp-runner restore FILE.',
  };
}
