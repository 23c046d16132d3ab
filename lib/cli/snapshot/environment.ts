/**
 * In which environment `egg-carton snapshot` works: that of production, as egg-scripts starts a host. Runs in the command
 * line only.
 */
import { environmentFile, serverEnvironment } from '../../entry/server_environment';
import { filesChangeIn } from '../../entry/snapshot_subject';
import { CartonError } from '../../support/errors';

export interface Environment {
  readonly name: string;
  /** NODE_ENV was set here, because it was not: egg-scripts sets it, whatever else names the environment. */
  readonly setsNodeEnv: boolean;
}

/** Throws `CARTON_CLI_BAD_USAGE` for an environment in which no snapshot is used. */
export function productionEnvironment(baseDir: string): Environment {
  const source = sourceOf(baseDir);
  const setsNodeEnv = (process.env['NODE_ENV'] ?? '').trim() === '';
  if (setsNodeEnv) process.env['NODE_ENV'] = 'production';
  const name = serverEnvironment(baseDir);
  if (!filesChangeIn(name)) return { name, setsNodeEnv };
  throw new CartonError('CARTON_CLI_BAD_USAGE', {
    expected: 'an environment of production',
    got: `"${name}" by ${source ?? 'NODE_ENV'}`,
    hint: environmentFile(baseDir) === '' ? 'Set EGG_SERVER_ENV=prod.' : 'Write prod into config/env, or remove it and set EGG_SERVER_ENV=prod.',
  });
}

/** What names the environment; undefined where nothing does. */
function sourceOf(baseDir: string): string | undefined {
  if (environmentFile(baseDir) !== '') return 'config/env';
  return ['EGG_SERVER_ENV', 'NODE_ENV'].map((name) => [name, process.env[name]?.trim() ?? '']).find(([, value]) => value !== '')?.join('=');
}
