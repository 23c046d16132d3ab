/**
 * Looks at a directory as `egg-carton init` needs it: whether an Egg application is there, and what it is written in.
 * Runs in the command line only; nothing of the application is run.
 */
import fs from 'node:fs';
import path from 'node:path';
import { CartonError, describe } from '../../support/errors';
import { readIfThere } from '../edit/write_all';

export type Language = 'typescript' | 'commonjs' | 'esm';

export interface ApplicationFiles {
  readonly baseDir: string;
  /** What new files are written in. */
  readonly language: Language;
  /** Text of package.json. */
  readonly packageText: string;
  readonly packageJson: PackageJson;
}

export interface PackageJson {
  readonly type?: unknown;
  readonly egg?: unknown;
  readonly eggPlugin?: unknown;
  readonly [key: string]: unknown;
}

/** Where a dependency may stand for the application to find it. */
export const DEPENDENCY_KEYS = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;

/** Files that only a TypeScript application has. */
const TYPESCRIPT_SIGNS = ['config/plugin.ts', 'config/plugin.default.ts', 'config/config.default.ts', 'app/router.ts', 'app.ts'];

/** @throws CARTON_CLI_NOT_AN_APPLICATION */
export function findApplication(directory: string): ApplicationFiles {
  const baseDir = path.resolve(directory);
  const text = readIfThere(path.join(baseDir, 'package.json'));
  if (text === undefined) throw notAnApplication(baseDir, 'no package.json');
  const packageJson = parse(baseDir, text);
  if (packageJson.eggPlugin !== undefined) throw notAnApplication(baseDir, 'an Egg plugin (package.json has "eggPlugin")');
  if (!runsOnEgg(packageJson)) throw notAnApplication(baseDir, 'a package.json with neither "egg" among its dependencies nor a section "egg"');
  if (!['app', 'config'].some((name) => isDirectory(path.join(baseDir, name)))) throw notAnApplication(baseDir, 'neither app/ nor config/');
  return { baseDir, language: languageOf(baseDir, packageJson), packageText: text, packageJson };
}

/** Whether the package names `name` among its dependencies, whatever their kind. */
export function dependsOn(packageJson: PackageJson, name: string): boolean {
  return DEPENDENCY_KEYS.some((key) => {
    const dependencies = packageJson[key];
    return typeof dependencies === 'object' && dependencies !== null && Object.hasOwn(dependencies, name);
  });
}

function parse(baseDir: string, text: string): PackageJson {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw notAnApplication(baseDir, `a package.json that cannot be read: ${describe(cause)}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw notAnApplication(baseDir, 'a package.json that is no object');
  return parsed as PackageJson;
}

/** By its dependencies, or, on a framework that extends Egg, by the section that Egg's own tools read. */
function runsOnEgg(packageJson: PackageJson): boolean {
  return dependsOn(packageJson, 'egg') || (typeof packageJson.egg === 'object' && packageJson.egg !== null);
}

function languageOf(baseDir: string, packageJson: PackageJson): Language {
  const declared = (packageJson.egg as { typescript?: unknown } | undefined)?.typescript;
  if (declared === true || TYPESCRIPT_SIGNS.some((file) => fs.existsSync(path.join(baseDir, file)))) return 'typescript';
  return packageJson.type === 'module' ? 'esm' : 'commonjs';
}

function isDirectory(directory: string): boolean {
  return fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
}

function notAnApplication(baseDir: string, got: string): CartonError {
  return new CartonError('CARTON_CLI_NOT_AN_APPLICATION', { of: baseDir, expected: 'an application on Egg, or on a framework that extends it', got });
}
