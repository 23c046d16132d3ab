/**
 * Puts a revision together: files, their content hash and the spec file. Runs in the agent, at boot and (in
 * development) after each change. It loads the lexers and schemas, which function processes therefore never import.
 */
import type { FunctionDefaults } from '../support/host_environment';
import { discover } from './discover';
import { resolveRevision } from './resolve';
import { contentHash } from './revision';
import { parseDeclarations } from './schema';
import { loadSpecFile } from './spec_file';
import type { Revision } from './types';

export interface LoadOptions {
  /** The application's name. */
  readonly application: string;
  readonly baseDir: string;
  /** `carton.functionDirectory`, relative to `baseDir`. */
  readonly functionDirectory: string;
  /** `carton.specFile`, relative to `baseDir`, without extension. The file is optional. */
  readonly specFile: string;
  /** `carton.functionDefaults`, validated. */
  readonly defaults: FunctionDefaults;
  /** Whether the application has a user resolver; functions then need a signed-in user unless their spec says other. */
  readonly hasUserResolver: boolean;
  /** `carton.ingress.oneapiPath`: http triggers have no place below it. Undefined where there is no ingress. */
  readonly oneapiPath?: string;
  /** `carton.maxInstances`: what `minInstances` of all functions together must fit into. */
  readonly maxInstances: number;
  /** Load the spec file anew, though it was loaded before. @default false */
  readonly fresh?: boolean;
}

/** The application as it is on disk now, deeply frozen. Rejects as `resolveRevision` and `loadSpecFile` throw. */
export async function loadRevision(options: LoadOptions): Promise<Revision> {
  const { baseDir, functionDirectory, specFile } = options;
  const [discovery, revision] = await Promise.all([
    discover(baseDir, functionDirectory),
    contentHash(baseDir, { functionDirectory, specFile }),
  ]);
  const spec = loadSpecFile(baseDir, { specFile, fresh: options.fresh ?? false });
  return resolveRevision({
    application: options.application,
    revision,
    discovery,
    parsed: parseDeclarations(spec.declarations, spec.place),
    specFile: spec.place,
    defaults: options.defaults,
    hasUserResolver: options.hasUserResolver,
    oneapiPath: options.oneapiPath,
    maxInstances: options.maxInstances,
  });
}
