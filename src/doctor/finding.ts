import type { HostFinding } from '../containers/host-survey.js';

/** What a check has found. */
export type Finding = HostFinding;

/** The worst of them. */
export function worstOf(findings: Finding[]): Finding['level'] {
  const levels = new Set(findings.map(({ level }) => level));
  if (levels.has('fail')) return 'fail';
  return levels.has('warn') ? 'warn' : 'ok';
}
