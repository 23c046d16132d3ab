/**
 * Applications in directories for temporary files, and the switch to TypeScript that Egg knows, for tests of specs.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { FunctionDefaults } from '../../lib/support/host_environment';
import { carton } from '../../config/config.default';

export const DEFAULTS: FunctionDefaults = carton.functionDefaults;

export const FIXTURES = path.join(__dirname, '../../fixtures');

/** Runs `use` on an application with these files, and removes it after. */
export async function withApplication<T>(files: Readonly<Record<string, string>>, use: (baseDir: string) => Promise<T> | T): Promise<T> {
  const baseDir = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'carton-spec-')));
  try {
    for (const [file, content] of Object.entries(files)) write(baseDir, file, content);
    return await use(baseDir);
  } finally {
    fs.rmSync(baseDir, { recursive: true, force: true });
  }
}

export function write(baseDir: string, file: string, content: string): void {
  fs.mkdirSync(path.dirname(path.join(baseDir, file)), { recursive: true });
  fs.writeFileSync(path.join(baseDir, file), content);
}

/** Runs `use` as a process would that cannot load TypeScript, or one that can (with `hook`). */
export async function withTypescript<T>(hook: NodeJS.RequireExtensions['.ts'] | undefined, use: () => Promise<T>): Promise<T> {
  const before = { env: process.env['EGG_TYPESCRIPT'], hook: require.extensions['.ts'] };
  set(hook === undefined ? undefined : 'true', hook);
  try {
    return await use();
  } finally {
    set(before.env, before.hook);
  }
}

function set(env: string | undefined, hook: NodeJS.RequireExtensions['.ts'] | undefined): void {
  if (env === undefined) delete process.env['EGG_TYPESCRIPT'];
  else process.env['EGG_TYPESCRIPT'] = env;
  if (hook === undefined) delete require.extensions['.ts'];
  else require.extensions['.ts'] = hook;
}
