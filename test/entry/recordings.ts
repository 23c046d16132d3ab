/**
 * What tests of builders and of function processes share: the plan of a recording of a small application without Egg,
 * and a real function process that loads from a snapshot and is called.
 */
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { carton as defaults } from '../../config/config.default';
import type { RecordingPlan } from '../../lib/entry/recording/plan';
import { launchHere, rehearse } from '../../lib/entry/rehearsal';
import { snapshotSubject } from '../../lib/entry/snapshot_subject';
import { inWorkingDirectory } from '../../lib/entry/working_directory';
import type { ProcessBoot, SnapshotReference } from '../../lib/protocol/control';
import { loadRevision } from '../../lib/spec/load';
import type { ApplicationDescriptor } from '../../lib/support/host_environment';
import { hostProcessOf } from '../../lib/support/host_process';

const ENTRY = path.resolve(__dirname, '../../lib/entry/function_process.js');

export function descriptorOf(baseDir: string, over: Partial<ApplicationDescriptor> = {}): ApplicationDescriptor {
  return { kind: 'module', name: 'tiny', baseDir, entry: path.join(baseDir, 'boot.js'), options: {}, disabledPlugins: [], ...over };
}

export async function planOf(baseDir: string, directory: string, over: Partial<RecordingPlan> = {}): Promise<RecordingPlan> {
  const application = descriptorOf(baseDir);
  const { functions } = await loadRevision({
    application: application.name, baseDir, functionDirectory: defaults.functionDirectory, specFile: defaults.specFile, defaults: defaults.functionDefaults, hasUserResolver: false, maxInstances: 4,
  });
  return { subject: snapshotSubject(application, 'function'), directory, application, functions, warmUps: [], ...over };
}

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  /** Why calls failed. */
  readonly warnings: readonly string[];
  readonly code: number | null;
}

/** A function process from its launch to its end, with one call of each function in `calls`. */
export async function runFunctionProcess(plan: RecordingPlan, snapshot: SnapshotReference | null, calls: RecordingPlan['warmUps']): Promise<Ran> {
  const warnings: string[] = [];
  const boot: ProcessBoot = { application: plan.application, hostProcess: hostProcessOf(process.pid), development: false, snapshot, compileCache: null };
  const child = spawn(process.execPath, [ENTRY, JSON.stringify(boot)], { cwd: plan.application.baseDir, stdio: ['ignore', 'pipe', 'pipe', 'pipe'], detached: true });
  const texts = [child.stdout, child.stderr].map((stream) => textOf(stream as Readable));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  await inWorkingDirectory(path.join(tmpdir(), 'ec-'), (directory) => rehearse({
    directory,
    functions: plan.functions,
    warmUps: calls,
    onWarning: (message) => warnings.push(message),
    launch: launchHere((channel, end) => {
      const far = child.stdio[3] as Readable & Writable;
      channel.pipe(far).pipe(channel);
      child.once('exit', (code) => end(code ?? 1));
    }),
  }));
  const code = await closed;
  const [stdout = '', stderr = ''] = await Promise.all(texts);
  return { stdout, stderr, warnings, code };
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}
