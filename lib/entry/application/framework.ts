/**
 * Finds the framework that an Egg application runs on, by the rules of egg-cluster, so that function processes boot on
 * the one that the host itself runs on. Runs in the host's processes, once, when a descriptor is made.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CartonError } from '../../support/errors';

/** The options that a host's master was started with, as far as they matter here. */
export interface FrameworkOptions {
  /** An absolute path, a path relative to node_modules or to the application, or a package's name. */
  readonly framework?: unknown;
}

interface PackageJson {
  readonly egg?: { readonly framework?: unknown };
}

function readPackage(baseDir: string): PackageJson {
  const file = path.join(baseDir, 'package.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PackageJson;
  } catch (cause) {
    throw new CartonError('CARTON_HOST_NO_FRAMEWORK', { of: baseDir, expected: `a readable ${file}`, cause });
  }
}

/**
 * Where a framework that is not an absolute path may be, best first. egg-cluster looks into the first two, also for
 * paths such as `../framework`; then comes what Node would find from the application (a workspace's root) and from
 * here (pnpm's store), then a path relative to the application.
 */
function* candidates(baseDir: string, name: string): Generator<string> {
  yield path.join(baseDir, 'node_modules', name);
  yield path.join(process.cwd(), 'node_modules', name);
  if (!name.startsWith('.')) {
    for (let at = path.dirname(baseDir); at !== path.dirname(at); at = path.dirname(at)) yield path.join(at, 'node_modules', name);
    for (const directory of require.resolve.paths(name) ?? []) yield path.join(directory, name);
  }
  yield path.resolve(baseDir, name);
}

/**
 * The framework's absolute path, as `descriptor.entry`: from `options.framework`, else from `egg.framework` in the
 * application's package.json, else `egg`.
 */
export function resolveFramework(baseDir: string, options: FrameworkOptions = {}): string {
  const wanted = options.framework ?? readPackage(baseDir).egg?.framework ?? 'egg';
  if (typeof wanted !== 'string' || wanted === '') {
    throw new CartonError('CARTON_HOST_NO_FRAMEWORK', { of: baseDir, expected: 'egg.framework to be a name or a path', got: typeof wanted });
  }
  if (path.isAbsolute(wanted) && existsSync(wanted)) return wanted;
  if (!path.isAbsolute(wanted)) {
    for (const candidate of candidates(baseDir, wanted)) if (existsSync(candidate)) return candidate;
  }
  throw new CartonError('CARTON_HOST_NO_FRAMEWORK', { of: baseDir, expected: `framework "${wanted}" to be installed`, got: 'no such directory' });
}
