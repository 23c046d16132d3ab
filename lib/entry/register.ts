/**
 * What `egg-carton/register` does in Egg's agent and app workers, and in a program that requires it, before anything else
 * is loaded there.
 */
import { expectSubject } from '../snapshot/check';
import type { SnapshotSubject } from '../snapshot/manifest';
import { replayOpened, type Replay } from '../snapshot/replay';
import { currentSnapshot, openSnapshot, snapshotDirectory } from '../snapshot/store';
import { systemClock } from '../support/clock';
import { describeWithCode } from '../support/errors';
import { resolveFramework } from './application/framework';
import { isRecording } from './recording/state';
import { setRegistration, settleInTime } from './registration';
import { serverEnvironment } from './server_environment';
import { filesChangeIn } from './snapshot_subject';

/** What egg-cluster hands to its processes. */
interface ClusterOptions {
  readonly baseDir?: string;
  readonly framework?: string;
  readonly env?: string;
  readonly plugins?: unknown;
}

/** Never throws: what cannot be used is told in one line, and everything is loaded as without it. */
export function registerProcess(): void {
  if (isRecording()) return;
  try {
    const subject = subjectOf(readOptions());
    if (filesChangeIn(subject.env)) return;
    const replay = replayOf(subject);
    setRegistration({ replay, isMissing: replay === undefined });
    if (replay !== undefined) settleInTime(replay, systemClock);
  } catch (error) {
    setRegistration({ replay: undefined, isMissing: true });
    // Not on stderr: egg-scripts takes a line there for a failed start.
    process.stdout.write(`[egg-carton] ${describeWithCode(error)}\n`);
  }
}

function replayOf(subject: SnapshotSubject): Replay | undefined {
  const found = currentSnapshot(snapshotDirectory(subject), 'host');
  if (found === undefined) return undefined;
  const opened = openSnapshot(found);
  expectSubject(opened, subject);
  return replayOpened(opened, found, subject);
}

function readOptions(): ClusterOptions {
  try {
    return JSON.parse(process.argv[2] ?? '') as ClusterOptions;
  } catch {
    // Not one of egg-cluster's processes: the application is started from its own directory.
    return {};
  }
}

function subjectOf({ baseDir = process.cwd(), framework, env, plugins }: ClusterOptions): SnapshotSubject {
  return {
    role: 'host',
    baseDir,
    framework: resolveFramework(baseDir, { framework }),
    env: env ?? serverEnvironment(baseDir),
    scope: process.env['EGG_SERVER_SCOPE'] ?? '',
    plugins: plugins ?? null,
  };
}
