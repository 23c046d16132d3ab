/**
 * What Egg's agent and app workers have in common as a host: the environment that scheduler, sandbox and ingress see.
 */
import { isMainThread } from 'node:worker_threads';
import { systemClock } from '../support/clock';
import { CartonError } from '../support/errors';
import type { ApplicationDescriptor, CartonConfig, HostEnvironment, HostLog } from '../support/host_environment';
import { hostProcessOf } from '../support/host_process';
import { planClients, type ClientPlan, type EnabledPlugin } from '../spec/clients';
import { validateConfig } from '../spec/config_schema';
import { resolveFramework } from './application/framework';
import { CLUSTER_ENTRY } from './process_entries';

/** What of Egg's agent and application is used here; both have it. */
export interface EggProcess {
  readonly name: string;
  readonly baseDir: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly config: { readonly env: string; readonly carton: unknown; readonly [key: string]: unknown };
  /** Those that are enabled, by name. */
  readonly plugins?: Readonly<Record<string, EnabledPlugin>>;
  readonly coreLogger: HostLog;
}

/** Options of Egg's processes that a function process is to be booted with, too. */
const PASSED_OPTIONS = ['env', 'plugins', 'typescript', 'workers', 'ignoreWarning'] as const;

/** Throws `CARTON_CONFIG_INVALID`. */
export function eggEnvironment(egg: EggProcess): HostEnvironment {
  const config = validateConfig(egg.config.carton);
  if (config.launcher === 'inline' && !isSingle(egg)) {
    throw new CartonError('CARTON_CONFIG_INVALID', { of: 'config.carton.launcher', expected: '"auto", "fork" or "spawn" in a cluster, where the agent has a process of its own', got: '"inline"' });
  }
  return {
    application: descriptorOf(egg, config),
    config,
    // Egg's worker_threads mode runs all in the master's process.
    hostProcess: hostProcessOf(isSingle(egg) || !isMainThread ? process.pid : process.ppid),
    development: egg.config.env === 'local',
    log: prefixed(egg.coreLogger),
    clock: systemClock,
  };
}

/** Agent and application run in one process: single mode, and egg-mock's `mm.app`, which calls its mode "cluster". */
export function isSingle(egg: EggProcess): boolean {
  return egg.options['mode'] === 'single' || !CLUSTER_ENTRY.test(process.argv[1] ?? '');
}

/** Whether functions run in this very process: where that was asked for, and by default in a unit test's. */
export function runsInline(egg: EggProcess, { config }: HostEnvironment): boolean {
  return config.launcher === 'inline' || (config.launcher === 'auto' && egg.config.env === 'unittest' && isSingle(egg));
}

/** Which clients leave function processes. */
export function clientPlanOf({ plugins = {}, config }: EggProcess, { sidecar, disabledPlugins }: CartonConfig): ClientPlan {
  const inFunctions = Object.entries(plugins).filter(([name]) => !disabledPlugins.includes(name));
  return planClients({ config: sidecar, plugins: Object.fromEntries(inFunctions), settings: config });
}

function descriptorOf(egg: EggProcess, config: CartonConfig): ApplicationDescriptor {
  const options: Record<string, unknown> = {};
  for (const key of PASSED_OPTIONS) if (isPlain(egg.options[key])) options[key] = egg.options[key];
  return {
    kind: 'egg',
    name: egg.name,
    baseDir: egg.baseDir,
    entry: resolveFramework(egg.baseDir, { framework: egg.options['framework'] ?? egg.config['framework'] }),
    options: { env: egg.config.env, ...options },
    disabledPlugins: [...config.disabledPlugins, 'carton'],
    proxied: clientPlanOf(egg, config).proxied,
  };
}

/** What can travel to another process as JSON. egg-cluster says null for an option that it was not given. */
function isPlain(value: unknown): boolean {
  return value !== undefined && value !== null && typeof value !== 'function' && typeof value !== 'symbol';
}

function prefixed(logger: HostLog): HostLog {
  const text = (message: string | Error): string => {
    const told = message instanceof CartonError ? `${message.code} ${message.message}` : message instanceof Error ? (message.stack ?? message.message) : message;
    return `[carton] ${told}`;
  };
  return {
    debug: (message, ...args) => logger.debug(text(message), ...args),
    info: (message, ...args) => logger.info(text(message), ...args),
    warn: (message, ...args) => logger.warn(text(message), ...args),
    error: (message, ...args) => logger.error(text(message), ...args),
  };
}
