/**
 * The sidecars of a host, in its agent: which there are, by what they hold, and how function processes reach them.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { HostDirectory, sidecarId } from '../support/host_directory';
import type { HostEnvironment, ProxiedClient } from '../support/host_environment';
import type { SidecarAccess } from '../protocol/control';
import type { SidecarBoot } from '../protocol/sidecar';
import { inheritedFlags } from '../sandbox/flags';
import { spawnSandbox } from '../sandbox/spawn';
import { identityOf } from '../scheduler/boot';
import { SidecarKeeper, type SidecarStatus } from '../scheduler/sidecar_keeper';

/** For a hash: settings may hold anything. */
const WHOLE = { depth: 20, maxArrayLength: null, maxStringLength: null, breakLength: Infinity, sorted: true } as const;
const ENTRY = join(__dirname, 'sidecar_process.js');

export class HostSidecars {
  readonly #environment: HostEnvironment;
  readonly #directory: HostDirectory;
  readonly #boots: readonly SidecarBoot[];
  readonly #keepers: readonly SidecarKeeper[];

  /** `settings`: the application's configuration; undefined where functions use the application's own clients. */
  constructor(environment: HostEnvironment, settings: Readonly<Record<string, unknown>> | undefined) {
    const { application, config, hostProcess, clock, log } = environment;
    this.#environment = environment;
    this.#directory = new HostDirectory(config.directory, hostProcess, application.baseDir);
    this.#boots = settings === undefined ? [] : bootsOf(environment, settings);
    this.#keepers = this.#boots.map((boot) => new SidecarKeeper({
      boot,
      directory: this.#directory,
      launch: (order) => spawnSandbox({ entry: ENTRY, execArgv: inheritedFlags(process.execArgv), argument: order, cwd: application.baseDir }),
      launchTimeoutMs: config.launchTimeoutMs,
      clock,
      log,
    }));
  }

  get status(): readonly SidecarStatus[] {
    return this.#keepers.map((keeper) => keeper.status);
  }

  /** For a process that is not yet an instance. Undefined where there are none. */
  get access(): SidecarAccess | undefined {
    if (this.#boots.length === 0) return undefined;
    const sockets = Object.fromEntries(this.#boots.map(({ name, id }) => [name, this.#directory.instanceSocket(id)]));
    return { sockets, callTimeoutMs: this.#environment.config.sidecar.callTimeoutMs, ...identityOf(this.#directory, { who: 'template', clients: null }) };
  }

  start(): void {
    for (const keeper of this.#keepers) keeper.start();
  }

  reloadLogs(): void {
    for (const keeper of this.#keepers) keeper.reloadLogs();
  }

  /** The host ends, and they are needed until the last instance has. */
  retire(): void {
    for (const keeper of this.#keepers) keeper.retire();
  }

  async close(): Promise<void> {
    await Promise.all(this.#keepers.map((keeper) => keeper.close()));
  }
}

function bootsOf({ application, config, hostProcess }: HostEnvironment, settings: Readonly<Record<string, unknown>>): SidecarBoot[] {
  const byName = new Map<string, ProxiedClient[]>();
  for (const client of application.proxied ?? []) byName.set(client.sidecar, [...(byName.get(client.sidecar) ?? []), client]);
  return [...byName].map(([name, held]) => {
    const { drainTimeoutMs, agentGraceMs, directory } = config;
    const hash = createHash('sha256').update(inspect([name, held, application, held.map(({ client }) => settings[client])], WHOLE)).digest('hex');
    return { id: sidecarId(hash), name, hash, application, held, hostProcess, directory, agentGraceMs, drainTimeoutMs };
  });
}
