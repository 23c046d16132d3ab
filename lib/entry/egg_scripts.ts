/**
 * What `egg-scripts start` has Node preload in all processes of a host, by the application's package.json. Runs in the
 * command line, which records the host without egg-scripts.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve, sep } from 'node:path';
import { isRegister } from '../sandbox/flags';

interface PackageJson {
  readonly egg?: { readonly typescript?: unknown };
  readonly eggScriptsConfig?: { readonly require?: unknown; readonly sourcemap?: unknown };
}

/** Flags of Node, without `egg-carton/register`: it is not to be recorded. The application has a package.json. */
export function preloadFlags(baseDir: string): string[] {
  const packageJson = JSON.parse(readFileSync(join(baseDir, 'package.json'), 'utf8')) as PackageJson;
  const { require: listed } = packageJson.eggScriptsConfig ?? {};
  // It passes over anything but a list.
  const names = Array.isArray(listed) ? listed.filter((name): name is string => typeof name === 'string' && name !== '') : [];
  const modules = names.map((name) => (isAbsolute(name) || name.startsWith(`.${sep}`) ? resolve(baseDir, name) : name));
  if (wantsSourceMaps(packageJson)) modules.push(...sourceMapSupport(baseDir));
  return modules.filter((module) => !isRegister(module)).flatMap((module) => ['--require', module]);
}

/** The option `sourcemap`; where it is not given, an application in TypeScript has it. */
function wantsSourceMaps({ egg, eggScriptsConfig }: PackageJson): boolean {
  return Boolean(eggScriptsConfig?.sourcemap ?? egg?.typescript);
}

/** The very file that egg-scripts finds from itself; none where the application is started by something else. */
function sourceMapSupport(baseDir: string): string[] {
  try {
    const scripts = createRequire(join(baseDir, 'package.json')).resolve('egg-scripts/package.json');
    return [createRequire(scripts).resolve('source-map-support/register')];
  } catch {
    return [];
  }
}
