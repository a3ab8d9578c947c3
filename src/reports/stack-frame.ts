import { basename, isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StackFrame } from '@sentry/node';

/** The origin under which `publish:sourcemap` stores our files. */
const APP = 'app:///';

/** Where an error passed: file below `root`, function, line, column. No source text, no variables, no path of the host. */
export function frameOf(frame: StackFrame, root: string): StackFrame {
  const file = frame.filename === undefined ? undefined : appPathOf(frame.filename, root);
  return {
    ...(file !== undefined && { filename: file, abs_path: file }),
    ...(frame.function !== undefined && { function: frame.function.slice(0, 200) }),
    ...(frame.lineno !== undefined && { lineno: frame.lineno }),
    ...(frame.colno !== undefined && { colno: frame.colno }),
    // The latter where Node itself was told to use the source maps.
    in_app: file !== undefined && /^app:\/\/\/(dist|src)\//.test(file),
  };
}

function appPathOf(filename: string, root: string): string {
  if (filename.startsWith('node:')) return filename;
  const path = localPathOf(filename);
  // As in `<anonymous>` and `native`.
  if (!isAbsolute(path)) return /^[<\w>]{1,40}$/.test(path) ? path : 'unknown';
  const inside = relative(root, path);
  if (!inside.startsWith('..')) return `${APP}${inside}`;
  // Where the host keeps other things is nobody's business.
  return `outside:///${basename(path)}`;
}

function localPathOf(filename: string): string {
  if (!filename.startsWith('file://')) return filename;
  try {
    return fileURLToPath(filename);
  } catch {
    return 'unknown';
  }
}
