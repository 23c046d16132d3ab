/**
 * The server environment that Egg gives an application which was started without the option `env`. Runs in egg-cluster's
 * processes, before Egg is there to ask, and in the command line.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** By Egg's rules: the file `config/env`, then EGG_SERVER_ENV, then NODE_ENV. */
export function serverEnvironment(baseDir: string): string {
  const named = environmentFile(baseDir) || process.env['EGG_SERVER_ENV']?.trim();
  if (named !== undefined && named !== '') return named;
  const { NODE_ENV } = process.env;
  return NODE_ENV === 'test' ? 'unittest' : NODE_ENV === 'production' ? 'prod' : 'local';
}

/** What the application's file `config/env` says; '' where there is none. */
export function environmentFile(baseDir: string): string {
  const file = join(baseDir, 'config/env');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}
