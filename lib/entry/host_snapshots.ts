/**
 * The snapshots of a host, in its agent: knows which one function processes are to load the application from, and has
 * those that are missing built once the host is ready.
 */
import { statSync } from 'node:fs';
import type { SnapshotReference, SidecarAccess } from '../protocol/control';
import { functionFlags, inheritedFlags } from '../sandbox/flags';
import type { Loading } from '../sandbox/spawn';
import { expectSubject, type CheckOptions } from '../snapshot/check';
import type { ProcessKey } from '../snapshot/key';
import type { SnapshotRole } from '../snapshot/manifest';
import { currentSnapshot, openSnapshot, prepareDirectory, snapshotDirectory } from '../snapshot/store';
import { describeWithCode } from '../support/errors';
import { HostDirectory } from '../support/host_directory';
import type { HostEnvironment } from '../support/host_environment';
import type { Revision } from '../spec/types';
import { processKeyUnder } from './key_under';
import { registration } from './registration';
import { buildSnapshot, type Build } from './snapshot_builder';
import { filesChangeIn, snapshotSubject } from './snapshot_subject';

export class HostSnapshots {
  readonly #environment: HostEnvironment;
  readonly #directory: string;
  readonly #compileCache: string;
  readonly #sidecar: () => SidecarAccess | undefined;
  readonly #missing = new Set<SnapshotRole>();
  #current: { readonly reference: SnapshotReference; readonly seen: string } | null = null;
  #functionKey: ProcessKey | undefined;
  #build: Build | undefined;
  #closed = false;

  /** `sidecar`: where functions that are recorded find middleware clients. */
  constructor(environment: HostEnvironment, sidecar: () => SidecarAccess | undefined = () => undefined) {
    const { application, config, hostProcess } = environment;
    this.#environment = environment;
    this.#sidecar = sidecar;
    this.#directory = snapshotDirectory(snapshotSubject(application, 'function'));
    this.#compileCache = new HostDirectory(config.directory, hostProcess, application.baseDir).compileCache;
  }

  get isEnabled(): boolean {
    const { application, config, development } = this.#environment;
    return config.snapshot.enable && !development && !filesChangeIn(snapshotSubject(application, 'function').env);
  }

  /** How a function process that is launched now is to load its code. */
  get loading(): Loading {
    // Another host, of another version, may have built its own in the same directory since.
    if (this.#current !== null && seenOf(this.#current.reference.path) !== this.#current.seen) this.select();
    return { snapshot: this.#current?.reference ?? null, compileCache: this.isEnabled ? this.#compileCache : null };
  }

  /** Looks for a snapshot that fits. Says in the log why one that is there does not. */
  select(): void {
    if (!this.isEnabled) return;
    if (registration()?.isMissing === true) this.#missing.add('host');
    const { application, log } = this.#environment;
    this.#current = null;
    try {
      const found = currentSnapshot(this.#directory, 'function');
      if (found !== undefined) {
        expectSubject(openSnapshot(found), snapshotSubject(application, 'function'), this.#check('function'));
        this.#current = { reference: found, seen: seenOf(found.path) };
      }
      if (found !== undefined) log.info(`functions start from the snapshot ${found.path}`);
    } catch (error) {
      log.warn(`functions start without a snapshot: ${describeWithCode(error)}`);
    }
    if (this.#current === null) this.#missing.add('function');
  }

  /** Builds what is missing, one after the other, in the background. Never rejects. */
  async build(revision: Revision): Promise<void> {
    if (!this.isEnabled || !this.#environment.config.snapshot.build) return;
    // Functions first: somebody may be waiting for one, while this host's own processes have started already.
    for (const role of (['function', 'host'] as const).filter((one) => this.#missing.has(one))) {
      if (this.#closed) return;
      await this.#buildOne(role, revision);
    }
  }

  /** Ends a build that is under way. */
  close(): void {
    this.#closed = true;
    this.#build?.cancel();
  }

  /** An agent looks at installed files, too: it does so once, for all that it launches. */
  #check(role: SnapshotRole): CheckOptions {
    if (role !== 'function') return { installed: true };
    return { installed: true, process: (this.#functionKey ??= processKeyUnder(functionFlags(this.#environment.config))) };
  }

  async #buildOne(role: SnapshotRole, { functions }: Revision): Promise<void> {
    const { application, config, log } = this.#environment;
    const plan = {
      subject: snapshotSubject(application, role),
      directory: this.#directory,
      application,
      functions: role === 'function' ? functions : [],
      warmUps: config.snapshot.warmUps,
      sidecar: role === 'function' ? this.#sidecar() : undefined,
    };
    const execArgv = role === 'function' ? functionFlags(config) : inheritedFlags(process.execArgv);
    try {
      // Before a boot of the application that would be in vain.
      prepareDirectory(this.#directory);
      this.#build = buildSnapshot(plan, { execArgv, background: true, onWarning: (message) => log.warn(message) });
      const { snapshot: { path, sha256, bytes, modules } } = await this.#build.done;
      // Files may have changed since they were recorded.
      expectSubject(openSnapshot({ path, sha256 }), plan.subject, this.#check(role));
      log.info(`built a snapshot for the role "${role}": ${modules} files, ${bytes} bytes, ${path}`);
      if (role === 'function') this.#current = { reference: { path, sha256 }, seen: seenOf(path) };
    } catch (error) {
      if (!this.#closed) log.warn(`the role "${role}" goes on without a snapshot: ${describeWithCode(error)}`);
    }
  }
}

/** What tells one file from another that has taken its place. '' where there is none. */
function seenOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? '' : [stats.ino, stats.size, stats.mtimeMs, stats.mode, stats.uid].join(' ');
}
