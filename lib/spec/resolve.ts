/**
 * Turns found files and checked declarations into a revision: every function complete with its limits, everything
 * frozen. Pure; runs at boot. It tells all problems at once, those that discovery and schema found included.
 */
import type { FunctionDefaults } from '../support/host_environment';
import { didYouMean } from '../support/nearest';
import { placeOf } from './checks';
import type { DiscoveredFile, Discovery } from './discover';
import { byCodeUnit } from './files';
import { groupKey, makeGroups } from './groups';
import { triggerProblems, type ClaimedPaths } from './http_paths';
import { deepFreeze, show, throwProblems, type Problem } from './problems';
import type { ParsedDeclarations } from './schema';
import type { Auth, FunctionDeclaration, FunctionSpec, GroupSpec, Revision } from './types';

export interface ResolveInput {
  readonly application: string;
  /** Content hash, see `revision.ts`. */
  readonly revision: string;
  readonly discovery: Discovery;
  readonly parsed: ParsedDeclarations;
  /** The spec file as messages name it. */
  readonly specFile: string;
  readonly defaults: FunctionDefaults;
  /** Whether the application can tell who calls. */
  readonly hasUserResolver: boolean;
  /** `carton.ingress.oneapiPath`; undefined where there is no ingress. */
  readonly oneapiPath?: string;
  /** Instances on the host. */
  readonly maxInstances: number;
}

/** One function that a file exports or, where lexing could not tell, a spec says that it does. */
interface Found {
  readonly file: DiscoveredFile;
  readonly exportName: string;
}

/**
 * @throws CARTON_SPEC_INVALID, CARTON_SPEC_MISSING_FILE, CARTON_SPEC_NAME_INVALID, CARTON_SPEC_DUPLICATE_PATH or
 * CARTON_SPEC_GROUP_DISAGREES; CARTON_SPEC_INVALID where problems of different codes come together.
 */
export function resolveRevision(input: ResolveInput): Revision {
  const problems: Problem[] = [...input.discovery.problems, ...input.parsed.problems];
  const found = findFunctions(input, problems);
  const declared = new Map([...found.keys()].sort(byCodeUnit).map((name) => [name, input.parsed.declarations.get(name) ?? {}]));
  const claimed: ClaimedPaths = new Map();
  for (const [name, declaration] of declared) {
    problems.push(...triggerProblems(name, declaration.triggers ?? [], { file: input.specFile, claimed, oneapiPath: input.oneapiPath }));
    problems.push(...authProblems(name, declaration.auth, input));
  }
  const made = makeGroups(declared, { file: input.specFile, defaults: input.defaults, maxInstances: input.maxInstances });
  throwProblems([...problems, ...made.problems], 'CARTON_SPEC_INVALID');
  const groups = new Map(made.groups.map((group) => [group.key, group]));
  const functions = [...declared].map(([name, declaration]) =>
    makeSpec(name, declaration, { found: found.get(name) as Found, group: groups.get(groupKey(name, declaration)) as GroupSpec, input }));
  return deepFreeze({ application: input.application, revision: input.revision, functions, groups: made.groups });
}

/** All functions by name; a spec whose function is nowhere becomes a problem. */
function findFunctions(input: ResolveInput, problems: Problem[]): ReadonlyMap<string, Found> {
  const { files, uncompiled } = input.discovery;
  const found = new Map<string, Found>();
  for (const file of files) for (const exportName of file.exports) found.set(functionName(file.name, exportName), { file, exportName });
  const open = new Map(files.filter((file) => !file.complete).map((file) => [file.name, file]));
  for (const name of [...input.parsed.declarations.keys(), ...input.parsed.invalid]) {
    if (found.has(name)) continue;
    const [fileName = '', exportName = 'default'] = name.split('.', 2);
    const file = open.get(fileName);
    if (file !== undefined && /^[A-Za-z0-9_-]+$/.test(exportName) && functionName(fileName, exportName) === name) found.set(name, { file, exportName });
    else problems.push(missing(name, { specFile: input.specFile, known: [...found.keys()], uncompiled: uncompiled.includes(fileName) }));
  }
  return found;
}

/** `dir/file` for the default export, else `dir/file.export`. */
function functionName(file: string, exportName: string): string {
  return exportName === 'default' ? file : `${file}.${exportName}`;
}

function missing(name: string, { specFile, known, uncompiled }: { specFile: string; known: readonly string[]; uncompiled: boolean }): Problem {
  return {
    code: 'CARTON_SPEC_MISSING_FILE',
    place: placeOf({ file: specFile, root: 'functions', keys: [name] }),
    expected: 'the name of an exported function',
    got: show(name),
    hint: uncompiled ? 'Its TypeScript is there, but not compiled: run the build, or start with EGG_TYPESCRIPT=true.' : didYouMean(name, known),
  };
}

function authProblems(name: string, auth: Auth | undefined, input: ResolveInput): Problem[] {
  if (auth === undefined || auth === 'none' || input.hasUserResolver) return [];
  const place = placeOf({ file: input.specFile, root: 'functions', keys: [name, 'auth'] });
  return [{ code: 'CARTON_SPEC_INVALID', place, expected: '"none", or carton.resolveUser in the config', got: `"${auth}" without a user resolver` }];
}

function makeSpec(name: string, declaration: FunctionDeclaration, { found, group, input }: { found: Found; group: GroupSpec; input: ResolveInput }): FunctionSpec {
  const { defaults } = input;
  return {
    name,
    file: found.file.file,
    exportName: found.exportName,
    triggers: declaration.triggers ?? [{ type: 'oneapi' }],
    group: group.key,
    auth: declaration.auth ?? (input.hasUserResolver ? 'required' : 'none'),
    concurrency: group.concurrency,
    minInstances: group.minInstances,
    maxInstances: group.maxInstances,
    idleTimeoutMs: group.idleTimeoutMs,
    timeoutMs: declaration.timeoutMs ?? defaults.timeoutMs,
    queueLimit: declaration.queueLimit ?? defaults.queueLimit,
    bodyLimitBytes: declaration.bodyLimitBytes ?? defaults.bodyLimitBytes,
    // Null is a value of its own: no limit, though there may be one by default.
    rateLimit: declaration.rateLimit === undefined ? copyRate(defaults) : declaration.rateLimit,
    idempotent: declaration.idempotent ?? defaults.idempotent,
  };
}

/** A copy, because the revision is frozen and the defaults may be somebody's live configuration. */
function copyRate({ rateLimit }: FunctionDefaults): FunctionDefaults['rateLimit'] {
  return rateLimit === null ? null : { ...rateLimit };
}
