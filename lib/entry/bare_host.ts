/**
 * A host without Egg: scheduler and ingress in one process, in front of a bare node:http server or a Koa application.
 * Functions run in processes of their own as everywhere; a module says what their services are.
 */
import type { Server } from 'node:http';
import { basename, resolve } from 'node:path';
import { carton as defaults } from '../../config/config.default';
import { attachToServer } from '../ingress/attach';
import { validateConfig } from '../spec/config_schema';
import { systemClock } from '../support/clock';
import type { CartonConfig, FunctionDefaults, HostEnvironment, HostLog, IngressConfig, SnapshotConfig } from '../support/host_environment';
import { hostProcessOf } from '../support/host_process';
import { AgentHost } from './agent_host';
import { cookieReader } from './egg_cookies';
import { WorkerHost } from './worker_host';

export interface HostOptions {
  /** Root of the application: functions are in `app/function`, specs in `config/function`. */
  readonly baseDir: string;
  /**
   * File below `baseDir` that each function process loads first. Its export `boot({ baseDir, options })` returns what
   * functions get: `{ config, service, logger, close }`, all of which may be left out.
   */
  readonly module: string;
  /** Handed to the module's `boot`; JSON only. @default {} */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Part of every function's identity. @default the name of `baseDir` */
  readonly name?: string;
  /** What differs from the defaults, with the keys of `config.carton`. @default {} */
  readonly carton?: CartonOverrides;
  /** Keys of signed and encrypted cookies, for `carton.resolveUser`. @default [] */
  readonly keys?: readonly string[];
  /** Second argument of `carton.resolveUser`. @default undefined */
  readonly application?: unknown;
  /** Whether edited files are taken over at once, and errors show their stack. @default false */
  readonly development?: boolean;
  /** @default console */
  readonly log?: HostLog;
}

export type CartonOverrides = Partial<Omit<CartonConfig, 'functionDefaults' | 'ingress' | 'snapshot' | 'sidecar'>> & {
  readonly snapshot?: Partial<SnapshotConfig>;
  readonly functionDefaults?: Partial<FunctionDefaults>;
  readonly ingress?: Partial<IngressConfig>;
};

export interface Host {
  /** Calls functions, lists them and their counts. */
  readonly carton: WorkerHost;
  /** Lets function requests of `server` go to the functions; its present listeners get all others. */
  attach(server: Server): void;
  /** Takes nothing new, lets what is open finish, ends all instances. Close the server first. */
  close(): Promise<void>;
}

/** Rejects with `CARTON_CONFIG_INVALID`, or with what is wrong with the specs. */
export async function createHost(options: HostOptions): Promise<Host> {
  const environment = environmentOf(options);
  const agent = new AgentHost(environment, { inline: false });
  await agent.start();
  const { config, log } = environment;
  const carton = new WorkerHost({
    environment,
    application: options.application,
    cookies: (headers) => cookieReader(headers, () => [...(options.keys ?? [])]),
    access: config.ingress.accessLog ? (record) => log.info(JSON.stringify(record)) : undefined,
  });
  await carton.start();
  agent.ready();
  return {
    carton,
    attach: (server) => attachToServer(server, carton.ingress),
    async close() {
      await carton.close();
      await agent.close();
    },
  };
}

function environmentOf({ baseDir, module, options = {}, name, carton = {}, development = false, log = console }: HostOptions): HostEnvironment {
  const root = resolve(baseDir);
  return {
    application: { kind: 'module', name: name ?? basename(root), baseDir: root, entry: resolve(root, module), options, disabledPlugins: [] },
    config: validateConfig({
      ...defaults,
      ...carton,
      functionDefaults: { ...defaults.functionDefaults, ...carton.functionDefaults },
      snapshot: { ...defaults.snapshot, ...carton.snapshot },
      ingress: { ...defaults.ingress, ...carton.ingress },
    }),
    hostProcess: hostProcessOf(process.pid),
    development,
    log,
    clock: systemClock,
  };
}
