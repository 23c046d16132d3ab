/**
 * Runs a piece of a test in a child process. Egg leaves listeners and a global context storage behind, so each boot
 * gets a process of its own, which is what a function process is anyway.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import type * as Egg from '../../../lib/entry/application/egg';
import type * as Inline from '../../../lib/entry/application/inline';
import type { ApplicationDescriptor } from '../../../lib/support/host_environment';

const ROOT = path.resolve(__dirname, '../../..');

export const FIXTURES = path.join(ROOT, 'fixtures');

/** What the plugin's configuration disables in function processes by default. */
const DISABLED = ['development', 'logrotator', 'watcher', 'schedule', 'multipart', 'static', 'jsonp', 'onerror'];

export interface Scenario {
  readonly descriptor: ApplicationDescriptor;
  readonly egg: typeof Egg;
  readonly inline: typeof Inline;
  readonly require: NodeJS.Require;
}

export interface ChildResult {
  readonly value: unknown;
  readonly output: string;
  readonly exitCode: number;
}

export function descriptorOf(application: string, options: Record<string, unknown> = {}): ApplicationDescriptor {
  return {
    kind: 'egg',
    name: application,
    baseDir: path.join(FIXTURES, application),
    entry: application === 'framework-app' ? path.join(FIXTURES, 'custom-framework') : path.join(ROOT, 'node_modules/egg'),
    options: { env: 'unittest', ...options },
    disabledPlugins: DISABLED,
  };
}

/** The child's program. `MARK` sets the result apart from what Egg prints. */
const MARK = '\u0001result:';
const PROGRAM = `
  const path = require('node:path');
  const load = (file) => require(path.join(${JSON.stringify(ROOT)}, 'lib/entry/application', file));
  const scenario = {
    descriptor: JSON.parse(process.argv[1]), require,
    get egg() { return load('egg'); }, get inline() { return load('inline'); },
  };
  // Left to itself the process would stay for Egg's timers after a failed boot.
  const end = (code) => process.stdout.write('', () => process.exit(code));
  (async () => (0, eval)('(' + process.argv[2] + ')')(scenario))().then(
    (value) => { process.stdout.write(${JSON.stringify(MARK)} + JSON.stringify(value ?? null) + '\\n'); end(0); },
    (error) => { console.error(error.stack); end(1); },
  );
`;

/** `body` is sent as source, so it sees its argument and globals only; its result comes back as JSON. */
export function inChild(
  descriptor: ApplicationDescriptor,
  body: (scenario: Scenario) => unknown,
  env: NodeJS.ProcessEnv = {},
): Promise<ChildResult> {
  const args = ['-e', PROGRAM, '--', JSON.stringify(descriptor), body.toString()];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      const [printed = '', json] = stdout.split(MARK);
      const value: unknown = json === undefined ? undefined : JSON.parse(json);
      resolve({ value, output: printed + stderr, exitCode: typeof error?.code === 'number' ? error.code : 0 });
    });
  });
}

/** As `inChild`, for a body that has to succeed. */
export async function valueIn(
  descriptor: ApplicationDescriptor,
  body: (scenario: Scenario) => unknown,
  env: NodeJS.ProcessEnv = {},
): Promise<unknown> {
  const { value, output, exitCode } = await inChild(descriptor, body, env);
  if (exitCode !== 0 || value === undefined) throw new Error(`the child failed (${exitCode}): ${output}`);
  return value;
}
