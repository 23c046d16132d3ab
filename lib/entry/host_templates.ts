/**
 * The templates of a host, in its agent: which programs they run, what they load from, and how one is tested before
 * anything is forked from it.
 */
import { realpathSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join, sep } from 'node:path';
import { Template, type ForkedProcess } from '../fork/template';
import type { ProcessBoot } from '../protocol/control';
import { functionFlags, withoutInspector } from '../sandbox/flags';
import { ForkLauncher, type Derived, type DeriveOrder, type SelfTest } from '../sandbox/fork';
import type { Loading } from '../sandbox/spawn';
import type { FunctionSpec } from '../spec/types';
import { CartonError, codeOf, describe } from '../support/errors';
import type { HostDirectory } from '../support/host_directory';
import type { HostEnvironment } from '../support/host_environment';
import { rehearse } from './rehearsal';
import type { RevisionArgument, RevisionPlan } from './template/revision_program';
import type { RootArgument } from './template/root_program';
import { inWorkingDirectory } from './working_directory';

export interface HostTemplatesOptions {
  readonly environment: HostEnvironment;
  /** Where templates find what they boot with, and meet who tests them. */
  readonly directory: () => HostDirectory;
  readonly process: Omit<ProcessBoot, keyof Loading>;
  readonly loading: () => Loading;
  /** The application's functions as they are now. */
  readonly functions: () => readonly FunctionSpec[];
}

const ENTRY = join(__dirname, 'template_process.js');
const ROOT = join(__dirname, 'template/root_program.js');
const REVISION = join(__dirname, 'template/revision_program.js');
/** Of the time that a launch may take: where no template comes of it, the rest is for a spawned process. */
const TEMPLATE_SHARE = 0.5;
/** Milliseconds for one fork to boot, answer and end. */
const SELF_TEST_MS = 10_000;

export function forkLauncher(options: HostTemplatesOptions): ForkLauncher {
  const { clock, log } = options.environment;
  return new ForkLauncher({
    startRoot: (signal) => startRoot(options, signal),
    derive: (root, order) => derive(root, options, order),
    isMemoryShort,
    selfTest: (fork) => selfTest(fork, options),
    study: (template) => study(template, options),
    ahead: options.environment.config.forksAhead,
    clock,
    log,
  });
}

/** Paths of sockets in there are shorter than those of instances, which are known to be short enough. */
function workingPrefix({ path }: HostDirectory): string {
  return join(path, 'boot-');
}

/** Less than a tenth left, of the container's limit where there is one. */
function isMemoryShort(): boolean {
  // Since Node 20.13; before, it is for the operator to see.
  const { availableMemory, constrainedMemory } = process as { availableMemory?(): number; constrainedMemory?(): number };
  const limit = constrainedMemory?.() ?? 0;
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return availableMemory !== undefined && availableMemory() < total / 10;
}

/** With the framework booted; where that opens what forks cannot share, with its modules alone. */
async function startRoot(options: HostTemplatesOptions, signal: AbortSignal): Promise<Template> {
  const { application, development } = options.environment;
  // Only templates of the application notice files that change.
  if (development && !realpathSync(application.entry).includes(`${sep}node_modules${sep}`)) return rootWith('leave', options, signal);
  try {
    return await rootWith('boot', options, signal);
  } catch (error) {
    if (signal.aborted || codeOf(error) === 'CARTON_FORK_UNAVAILABLE') throw error;
    options.environment.log.info(`the root template starts without booting the framework: ${describe(error)}`);
    return rootWith('load', options, signal);
  }
}

function rootWith(framework: RootArgument['framework'], { environment, directory, loading }: HostTemplatesOptions, signal: AbortSignal): Promise<Template> {
  const { application, config, hostProcess } = environment;
  return inWorkingDirectory(workingPrefix(directory()), (working) => Template.start({
    entry: ENTRY,
    program: ROOT,
    argument: { application, snapshot: loading().snapshot, framework, directory: working } satisfies RootArgument,
    execArgv: functionFlags(config),
    cwd: application.baseDir,
    env: withoutInspector(process.env),
    hostPid: hostProcess.pid,
    hostStartTime: hostProcess.startTime,
    timeoutMs: config.launchTimeoutMs * TEMPLATE_SHARE,
    signal,
  }));
}

type Warming = Pick<RevisionPlan, 'functions' | 'warmUps'>;

const NOTHING: Warming = { functions: [], warmUps: [] };

/** What templates of the application warm. In development nothing, so that an edit of one function leaves the others alone. */
function warming({ environment: { config, development }, functions }: HostTemplatesOptions): Warming {
  return development ? NOTHING : { functions: functions(), warmUps: config.snapshot.warmUps };
}

async function derive(root: Template, options: HostTemplatesOptions, { isQuick, signal }: DeriveOrder): Promise<Derived> {
  const { environment: { config }, directory, process: boot, loading } = options;
  const all = warming(options);
  const isWhole = !isQuick || all.functions.length + all.warmUps.length === 0;
  const plan: RevisionPlan = { boot: { ...boot, ...loading() }, isQuick: !isWhole, ...(isQuick ? NOTHING : all) };
  const planPath = directory().templatePath;
  writeFileSync(planPath, JSON.stringify(plan), { mode: 0o600 });
  try {
    const template = await inWorkingDirectory(workingPrefix(directory()), (working) => root.derive({
      program: REVISION,
      argument: { planPath, directory: working } satisfies RevisionArgument,
      timeoutMs: config.launchTimeoutMs * TEMPLATE_SHARE,
      signal,
    }));
    return { template, isWhole };
  } catch (error) {
    // Where the root cannot fork, a process may still be spawned.
    if (codeOf(error) !== 'CARTON_FORK_FAILED') throw error;
    throw new CartonError('CARTON_FORK_BOOT_FAILED', { got: describe(error), cause: error });
  }
}

/** Resolves once it has answered. How it ends is told apart: nobody need wait for that. */
async function selfTest(fork: ForkedProcess, { environment: { clock }, directory }: HostTemplatesOptions): Promise<SelfTest> {
  const failed = (got: string): CartonError => new CartonError('CARTON_FORK_BOOT_FAILED', { expected: 'a fork that answers and ends', got });
  let isLate = false;
  const late = clock.after(SELF_TEST_MS, () => {
    isLate = true;
    fork.kill();
  });
  let onAnswered: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => (onAnswered = resolve));
  const rehearsed = inWorkingDirectory(workingPrefix(directory()), (working) => rehearse({
    directory: working,
    launch: () => Promise.resolve(fork),
    ...NOTHING,
    onWarning: (message) => {
      throw failed(message);
    },
    onAnswered,
  }));
  const ended = rehearsed.then((exit) => {
    if (exit.code !== 0) throw failed(`exit code ${exit.code}, signal ${exit.signal}`);
  }).catch((error: unknown) => {
    fork.kill();
    if (isLate) throw failed(`no end within ${SELF_TEST_MS} ms`);
    // Whatever it is: an application that works otherwise is not to fail for it.
    throw codeOf(error) === 'CARTON_FORK_BOOT_FAILED' ? error : failed(describe(error));
  }).finally(() => late.cancel());
  await Promise.race([answered, ended]);
  return { ended };
}

/** Once, for what is the same in all instances. What fails is the functions' own, and told where they are called. */
async function study(template: Template, options: HostTemplatesOptions): Promise<void> {
  const fork = await template.fork(null);
  const late = options.environment.clock.after(SELF_TEST_MS, () => fork.kill());
  void template.ended.then(() => fork.kill());
  try {
    await inWorkingDirectory(workingPrefix(options.directory()), (working) => rehearse({
      directory: working,
      launch: () => Promise.resolve(fork),
      ...warming(options),
      onWarning: () => undefined,
      onAnswered: () => template.learn(fork),
    }));
  } finally {
    late.cancel();
    fork.kill();
  }
}
