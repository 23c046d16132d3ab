/**
 * `egg-carton snapshot`: builds the snapshots of an application, or compares those that are there with the disk. Runs in
 * the command line only; the application runs in processes of its own, which end with this one.
 */
import { buildSnapshots, type SnapshotsBuild } from '../../entry/build_snapshots';
import { systemClock } from '../../support/clock';
import { EXIT } from '../exit_codes';
import { findApplication } from '../init/application';
import type { Terminal } from '../terminal';
import { productionEnvironment, type Environment } from './environment';
import { Progress } from './progress';
import { summaryOf, type BuiltSnapshot } from './summary';
import { verifySnapshots } from './verify';

export interface SnapshotOptions {
  /** Of the application. */
  readonly directory: string;
  /** Compare only. */
  readonly verify: boolean;
}

/**
 * Resolves with an exit code. Rejects with `CARTON_CLI_NOT_AN_APPLICATION`, `CARTON_CLI_BAD_USAGE` in an environment of
 * development, `CARTON_SNAPSHOT_MISSING`, or why a snapshot could not be built.
 */
export async function snapshot({ directory, verify }: SnapshotOptions, terminal: Terminal): Promise<number> {
  const { baseDir, packageJson } = findApplication(directory);
  const environment = productionEnvironment(baseDir);
  introduce(environment, { subject: typeof packageJson['name'] === 'string' ? packageJson['name'] : baseDir, verify, terminal });
  return verify ? verifySnapshots(baseDir, terminal) : build(baseDir, environment, terminal);
}

function introduce({ name, setsNodeEnv }: Environment, { subject, verify, terminal }: { subject: string; verify: boolean; terminal: Terminal }): void {
  const scope = process.env['EGG_SERVER_SCOPE'] ?? '';
  terminal.out(`${verify ? 'Verifying' : 'Building'} the snapshots of ${subject} for the environment "${name}"${scope === '' ? '' : `, scope "${scope}"`}`, 'title');
  if (setsNodeEnv) terminal.out('NODE_ENV=production was set, as egg-scripts does.', 'quiet');
  terminal.out('');
}

async function build(baseDir: string, environment: Environment, terminal: Terminal): Promise<number> {
  const progress = new Progress(terminal, systemClock);
  const built: BuiltSnapshot[] = [];
  const running = buildSnapshots({
    baseDir,
    onStep: (role, step) => progress.step(role, step),
    onWarning: (message) => terminal.error(`warning: ${message}`),
    onBuilt(role, summary) {
      progress.done(role);
      built.push({ role, snapshot: summary });
    },
  });
  const signals = cancelOnSignal(running);
  try {
    const { functions } = await running.done;
    terminal.out('');
    for (const { text, look } of summaryOf(built, baseDir, terminal.columns)) terminal.out(text, look);
    if (!functions) tellNoFunctions(environment, terminal);
    return EXIT.done;
  } catch (error) {
    const code = signals.code();
    if (code === undefined) throw error;
    return code;
  } finally {
    signals.release();
    progress.close();
  }
}

function tellNoFunctions({ name }: Environment, terminal: Terminal): void {
  const scope = process.env['EGG_SERVER_SCOPE'] ?? '';
  terminal.out('');
  terminal.out(`Functions have no snapshot: the plugin "carton" is not enabled in the environment "${name}"${scope === '' ? '' : `, scope "${scope}"`}.`);
}

const SIGNALS = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated } as const;

/** `code` is that of the signal that came, if one did. */
function cancelOnSignal(running: SnapshotsBuild): { readonly code: () => number | undefined; readonly release: () => void } {
  let code: number | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    code = SIGNALS[signal as keyof typeof SIGNALS];
    running.cancel();
  };
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  for (const name of names) process.on(name, listener);
  return {
    code: () => code,
    release() {
      for (const name of names) process.off(name, listener);
    },
  };
}
