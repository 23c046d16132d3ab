/**
 * The schema of `config.carton`: range, unit, default and meaning of every key, and the relations between them. Runs
 * once at boot in the agent and in each app worker, before anything else reads the configuration.
 */
import path from 'node:path';
import * as v from 'valibot';
import type { CartonConfig, ResolveUser } from '../support/host_environment';
import { check, describeKeys, documented, exactObject, integer, list, oneOf, text, type KeyRow } from './checks';
import { FUNCTION_LIMITS, RATE_LIMIT_KEYS } from './function_limits';
import { INGRESS_KEYS, CORS_KEYS } from './ingress_schema';
import { CLIENT_KEYS, SIDECAR_KEYS } from './sidecar_schema';
import { SNAPSHOT_KEYS } from './snapshot_schema';
import { deepFreeze, throwProblems, type Problem } from './problems';

const TEN_MINUTES_MS = 600_000;
const RELATIVE = 'a path below the application\'s root, with "/" and without ".."';

function isBelowRoot(value: string): boolean {
  return value !== '' && !value.includes('\\') && value.split('/').every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

const relativePath = text(isBelowRoot, RELATIVE);
const SPEC_FILE = `${RELATIVE}, without extension`;
const DIRECTORY = 'null or an absolute path';
const flag = text((value) => value !== '', 'a flag or its value');
const pluginName = text((value) => /^[\w-]+$/.test(value), 'the name of a plugin');

export const CONFIG_KEYS = {
  directory: documented(v.nullable(text((value) => path.isAbsolute(value), DIRECTORY)), {
    description: 'Directory for sockets and records, of mode 0700; null is `egg-carton-<uid>` in the directory for temporary files. Each host has a directory of its own inside.',
    unit: '',
    default: null,
    effect: 'One that others can write to stops the boot with CARTON_HOST_DIRECTORY_UNSAFE, one whose sockets\' paths would pass 107 bytes with CARTON_HOST_PATH_TOO_LONG.',
  }),
  functionDirectory: documented(relativePath, {
    description: 'Where the functions\' files are.',
    unit: '',
    default: 'app/function',
    effect: 'One that does not exist has no functions.',
  }),
  specFile: documented(text((value) => isBelowRoot(value) && !/\.[cm]?[jt]s$/.test(value), SPEC_FILE), {
    description: 'The file that declares function specs; it need not exist.',
    unit: '',
    default: 'config/function',
    effect: 'One that cannot be loaded stops the boot with CARTON_SPEC_INVALID.',
  }),
  launcher: documented(oneOf(['auto', 'fork', 'spawn', 'inline'] as const), {
    description: 'How instances come to be. `auto`: forked from a warm template where machine and application allow it, else spawned, and the log says why. `fork`: forked, or not at all. `spawn`: a fresh process each. `inline`: in the calling process, for unit tests.',
    unit: '',
    default: 'auto',
    effect: 'An instance that cannot be launched answers with CARTON_INSTANCE_LAUNCH_FAILED (503).',
  }),
  maxInstances: documented(integer(1, 10_000), {
    description: 'Instances of all functions together on this host.',
    unit: 'instances',
    default: 64,
    effect: 'At it an idle instance is evicted for the next launch; where none is idle, CARTON_SCHEDULER_HOST_FULL (503).',
  }),
  launchTimeoutMs: documented(integer(10, TEN_MINUTES_MS), {
    description: 'Time from the launch of an instance until it is ready.',
    unit: 'milliseconds',
    default: 20_000,
    effect: 'At it the instance is killed and waiting requests get CARTON_INSTANCE_LAUNCH_TIMEOUT (503).',
  }),
  drainTimeoutMs: documented(integer(0, TEN_MINUTES_MS), {
    description: 'Time that an ending instance has for the invocations it runs. In production it must stay below the 5 s after which egg-cluster kills its processes (EGG_AGENT_CLOSE_TIMEOUT and EGG_APP_CLOSE_TIMEOUT).',
    unit: 'milliseconds',
    default: 4_000,
    effect: 'At it the instance is killed, and what it still ran is answered with CARTON_INSTANCE_CRASHED (502).',
  }),
  agentGraceMs: documented(integer(0, TEN_MINUTES_MS), {
    description: 'Time that instances outlive the agent, for a new agent to adopt them. The master forks it after 1 s.',
    unit: 'milliseconds',
    default: 10_000,
    effect: 'At it the instances drain and end; with 0 they end with the agent.',
  }),
  maxBackoffMs: documented(integer(10, 3_600_000), {
    description: 'Longest wait between two launches of a function that keeps failing; waits double up to it.',
    unit: 'milliseconds',
    default: 60_000,
    effect: 'Meanwhile requests get CARTON_INSTANCE_BACKING_OFF (503) with Retry-After.',
  }),
  execArgv: documented(list(flag, 'flags for Node', 64), {
    description: 'Flags of Node and V8 for function processes, after those that the plugin sets itself.',
    unit: '',
    default: [],
    effect: 'With a flag that Node does not know no instance starts: CARTON_INSTANCE_LAUNCH_FAILED (503).',
  }),
  forksAhead: documented(integer(0, 100), {
    description: 'Processes that are forked before anybody needs them: a cold request waits for no fork. Each takes 5 MB, and none is made where functions are spawned.',
    unit: 'processes',
    default: 1,
    effect: 'Of requests for more functions at once, the others wait for a fork, some milliseconds.',
  }),
  disabledPlugins: documented(list(pluginName, 'names of plugins', 256), {
    description: 'Plugins of the application that a function process does without, because they serve HTTP or run jobs. The list replaces the default one. The carton plugin itself is always off there.',
    unit: '',
    default: ['development', 'logrotator', 'watcher', 'schedule', 'multipart', 'static', 'jsonp', 'onerror', 'routerPlus', 'egg-mock'],
    effect: 'A plugin that an enabled one needs stays on all the same.',
  }),
  functionDefaults: documented(exactObject(FUNCTION_LIMITS, 'an object of limits'), {
    description: 'Limits of functions whose spec does not give them.',
    unit: '',
    default: 'see below',
    effect: 'See below.',
  }),
  resolveUser: documented(v.nullable(v.custom<ResolveUser>((value) => typeof value === 'function', 'null or a function (request, application) => user')), {
    description: 'Says who calls: gets headers, cookies and peer of the request and the application, and returns the user as JSON, or undefined for nobody; may be async. It runs in the app worker for functions whose `auth` is not `none`.',
    unit: '',
    default: null,
    effect: 'Where it throws, the caller gets CARTON_INGRESS_USER_RESOLVER_FAILED (500). With null, functions may be called by anybody, and a spec that asks for a user stops the boot.',
  }),
  snapshot: documented(exactObject(SNAPSHOT_KEYS, 'an object of snapshot settings'), {
    description: 'How function processes load the application without scanning and compiling it again.',
    unit: '',
    default: 'see below',
    effect: 'See below.',
  }),
  sidecar: documented(exactObject(SIDECAR_KEYS, 'an object of sidecar settings'), {
    description: 'Which middleware clients function processes share with each other, in processes of their own.',
    unit: '',
    default: 'see below',
    effect: 'See below.',
  }),
  ingress: documented(exactObject(INGRESS_KEYS, 'an object of ingress settings'), {
    description: 'How requests reach functions.',
    unit: '',
    default: 'see below',
    effect: 'See below.',
  }),
};

const configSchema = exactObject(CONFIG_KEYS, 'an object') as v.GenericSchema<unknown, CartonConfig>;

/**
 * Checks the whole configuration and returns a copy that is deeply frozen; `raw` stays as it is, because it belongs
 * to Egg.
 * @throws CARTON_CONFIG_INVALID with all problems.
 */
export function validateConfig(raw: unknown): CartonConfig {
  const checked = check(configSchema, raw, { root: 'config.carton', keys: [] }, 'CARTON_CONFIG_INVALID');
  const config = checked.value;
  if (config === undefined) throwProblems([...checked.problems], 'CARTON_CONFIG_INVALID');
  throwProblems(relations(config as CartonConfig), 'CARTON_CONFIG_INVALID');
  return deepFreeze(config as CartonConfig);
}

/** What must hold between keys that are valid each on its own. */
function relations({ functionDefaults, ingress }: CartonConfig): Problem[] {
  const problems: Problem[] = [];
  const add = (key: string, expected: string, got: string): number => problems.push({ code: 'CARTON_CONFIG_INVALID', place: `config.carton.${key}`, expected, got });
  const { minInstances, maxInstances } = functionDefaults;
  if (minInstances > maxInstances) add('functionDefaults.minInstances', `at most functionDefaults.maxInstances, which is ${maxInstances}`, `${minInstances}`);
  if (ingress.cors !== null && ingress.cors.credentials && ingress.cors.origins.includes('*')) {
    add('ingress.cors.origins', 'origins by name, because browsers send no credentials to "*"', '"*" with credentials: true');
  }
  return problems;
}

/** All keys below `carton`, in the order of the reference. */
export function configKeys(): readonly KeyRow[] {
  return [
    ...describeKeys('', CONFIG_KEYS),
    ...describeKeys('functionDefaults.', FUNCTION_LIMITS),
    ...describeKeys('functionDefaults.rateLimit.', RATE_LIMIT_KEYS),
    ...describeKeys('snapshot.', SNAPSHOT_KEYS),
    ...describeKeys('sidecar.', SIDECAR_KEYS),
    ...describeKeys('sidecar.clients.*.', CLIENT_KEYS),
    ...describeKeys('ingress.', INGRESS_KEYS),
    ...describeKeys('ingress.cors.', CORS_KEYS),
  ];
}
