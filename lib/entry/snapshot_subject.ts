/**
 * Which snapshot belongs to an application as this process, or one that it starts, boots it.
 */
import type { ApplicationDescriptor } from '../support/host_environment';
import type { SnapshotRole, SnapshotSubject } from '../snapshot/manifest';

export function snapshotSubject(application: ApplicationDescriptor, role: SnapshotRole): SnapshotSubject {
  const { baseDir, entry, options, disabledPlugins } = application;
  const plugins = options['plugins'] ?? null;
  return {
    role,
    baseDir,
    framework: entry,
    env: environmentOf(application),
    scope: process.env['EGG_SERVER_SCOPE'] ?? '',
    plugins: role === 'function' ? { plugins, disabled: disabledPlugins } : plugins,
  };
}

/** An application without Egg has none of its own. */
function environmentOf({ kind, options }: ApplicationDescriptor): string {
  if (kind === 'module') return process.env['NODE_ENV'] === 'test' ? 'unittest' : 'prod';
  return typeof options['env'] === 'string' ? options['env'] : '';
}

/** Environments in which files change under a running application: snapshots are neither used nor built in them. */
export function filesChangeIn(env: unknown): boolean {
  return env === 'local' || env === 'unittest';
}
