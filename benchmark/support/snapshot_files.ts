/**
 * Builds snapshots as users do, with the command line, and says what came of it.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SnapshotReference } from '../../lib/protocol/control';
import type { SnapshotRole } from '../../lib/snapshot/manifest';
import { currentSnapshot, DIRECTORY_VARIABLE, openSnapshot, snapshotDirectory } from '../../lib/snapshot/store';
import type { Application } from './applications';

const CLI = join(__dirname, '../../bin/egg-carton.js');

export interface BuiltSnapshot {
  readonly reference: SnapshotReference;
  readonly bytes: number;
  /** Modules that it has the sources of. */
  readonly modules: number;
}

/** Of every role, written below the application. Rejects with what the command printed. */
export async function buildSnapshots(application: Application): Promise<Record<SnapshotRole, BuiltSnapshot>> {
  const { baseDir } = application;
  // What this machine says of it would have the snapshots of all applications in one place.
  delete process.env[DIRECTORY_VARIABLE];
  const env = { ...process.env, ...application.environment('carton') };
  await promisify(execFile)(process.execPath, [CLI, 'snapshot', baseDir], { cwd: baseDir, env });
  const directory = snapshotDirectory({ baseDir, env: 'prod', scope: 'carton' });
  return { function: built(directory, 'function'), host: built(directory, 'host') };
}

function built(directory: string, role: SnapshotRole): BuiltSnapshot {
  const reference = currentSnapshot(directory, role);
  if (reference === undefined) throw new Error(`expected a snapshot for the role "${role}" in ${directory}, and the command wrote none`);
  const { bytes, manifest } = openSnapshot(reference);
  return { reference, bytes: bytes.length, modules: manifest.files.filter((entry) => entry.length > 2).length };
}
