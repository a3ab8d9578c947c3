import { Config } from '../config/config.js';
import { HostSurvey } from '../containers/host-survey.js';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { examine } from '../doctor/doctor.js';
import { type Finding, worstOf } from '../doctor/finding.js';
import { type Command, print } from './command.js';
import { withContainers } from './command-context.js';

const EXIT_CODES = { ok: 0, warn: 1, fail: 2 } as const;

export const doctorCommand: Command = {
  help: `Usage: mcp-runner doctor [--json]

Looks at what deployments need: data directory, disk, database, service, engine, runtime, address pool, tools, firewall,
kernel limits, and whether anything is left of deployments that are gone. It changes nothing, takes half a minute at most,
and works whether the service and the engine run or not. Run it with the environment and as the user of the service.

  --json   {"status", "findings": [{"name", "level", "message", "fix"}]}

Exit codes: 0 all is well, 1 there are warnings, 2 there are failures, 64 wrong usage.`,
  options: { json: { type: 'boolean' } },
  positionals: 0,
  async run(_positionals, { json }) {
    const findings = await withContainers((app) =>
      examine(app.get(Config), app.get(HostSurvey), app.get(SandboxRuntime)),
    );
    const status = worstOf(findings);
    if (json === true) print(JSON.stringify({ status, findings }, undefined, 2));
    else for (const finding of findings) tell(finding);
    return EXIT_CODES[status];
  },
};

function tell({ level, name, message, fix }: Finding): void {
  print(`${level.padEnd(4)}  ${name}: ${message}`);
  if (fix !== undefined) print(`      ${fix}`);
}
