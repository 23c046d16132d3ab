/**
 * An instance on one end of a session and a worker's hands on the other, with functions that a test writes in place.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { METHOD, type InstanceBoot } from '../../lib/protocol/control';
import { encodeExtra } from '../../lib/protocol/extra';
import { writeInvoke, type Invoke } from '../../lib/protocol/invocation';
import type { OneapiRequest } from '../../lib/protocol/oneapi';
import { BeginRecord, BeginWitness } from '../../lib/rpc/begin_record';
import type { OutgoingCall, Session } from '../../lib/rpc/session';
import type { BootedApplication, FunctionLogger } from '../../lib/runtime/application';
import type { AnyFunction, LoadedFunction } from '../../lib/runtime/functions';
import { Instance, type InstanceOptions } from '../../lib/runtime/instance';
import type { FunctionSpec } from '../../lib/spec/types';
import { Ears, sessionPair, Sink, type Heard, type Pair } from '../support/session_pair';

export interface HostOptions extends Partial<Pick<InstanceOptions, 'development' | 'freshness'>> {
  readonly concurrency?: number;
  readonly bodyLimitBytes?: number;
}

export class InstanceHost {
  readonly lines: string[] = [];
  readonly worker = new Ears();
  readonly stale: string[] = [];
  drained = 0;
  readonly #directory = mkdtempSync(join(tmpdir(), 'ec-inst-'));
  readonly record: BeginRecord;
  readonly witness: BeginWitness;
  readonly instance: Instance;
  pair!: Pair;

  private constructor(functions: readonly LoadedFunction[], options: HostOptions, clock: Pair['clock']) {
    const recordPath = join(this.#directory, 'r');
    this.record = new BeginRecord(recordPath);
    this.witness = BeginWitness.open(recordPath, 0) as BeginWitness;
    const boot = { id: '1-1', revision: 'rev', group: { key: 'g', functions: functions.map(({ spec }) => spec.name), concurrency: options.concurrency ?? 50 } };
    this.instance = new Instance({
      boot: boot as unknown as InstanceBoot,
      application: this.#application(),
      functions,
      record: this.record,
      clock,
      development: options.development ?? false,
      freshness: options.freshness,
      onLoad: () => undefined,
      onDrained: () => (this.drained += 1),
      onStale: (file) => this.stale.push(file),
    });
  }

  static async serve(functions: Record<string, AnyFunction>, options: HostOptions = {}): Promise<InstanceHost> {
    const loaded = Object.entries(functions).map(([name, call]): LoadedFunction => ({
      spec: { name, file: `app/function/${name}`, timeoutMs: 1000, bodyLimitBytes: options.bodyLimitBytes ?? 1_048_576 } as FunctionSpec, call, error: undefined,
    }));
    const worker = new Ears();
    // The pair's clock must be the instance's, and its handlers need the session: they are set right after.
    const pair = await sessionPair({ left: worker });
    const host = new InstanceHost(loaded, options, pair.clock);
    Object.assign(host, { worker });
    host.pair = pair;
    pair.right.handlers = host.instance.openSession().handlers(pair.right);
    return host;
  }

  get session(): Session {
    return this.pair.left;
  }

  /** Sends an invocation; without a body it follows as a stream. */
  invoke(sink: Sink, invoke: Partial<Omit<Invoke, 'request'>> & { readonly request?: Partial<OneapiRequest> } = {}): OutgoingCall {
    const trace = { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 2), parentId: Buffer.alloc(8), sampled: true, state: '' };
    const request: OneapiRequest = { function: 'f', trigger: 'oneapi', args: { kind: 'array' }, id: Buffer.alloc(16, 0xab), trace, user: undefined, streamFormat: 'ndjson', ...invoke.request };
    const body = 'body' in invoke ? invoke.body : Buffer.from('[]');
    const call = this.session.open(sink, body === undefined);
    writeInvoke(this.session.writer, call.id, { functionIndex: 0, attempt: 1, remainingMs: 1000, ...invoke, extra: encodeExtra(request), request, body });
    this.session.flushSoon();
    return call;
  }

  /** Invokes with these arguments and resolves with all that was heard. */
  async run(args: readonly unknown[] = [], functionIndex = 0): Promise<readonly Heard[]> {
    const sink = new Sink();
    this.invoke(sink, { body: Buffer.from(JSON.stringify(args)), functionIndex });
    return sink.ended;
  }

  get freed(): number {
    return this.worker.events.filter(({ method }) => method === METHOD.free).length;
  }

  close(): void {
    this.pair.close();
    this.witness.close();
    this.record.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #application(): BootedApplication {
    const note = (level: string) => (message: unknown): void => void this.lines.push(`${level} ${String(message)}`);
    const logger: FunctionLogger = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
    return {
      baseDir: '/app', config: Object.freeze({ name: 'test' }), logger,
      createScope: () => ({ service: { name: 'service' }, run: (call) => call() }),
      reloadLogs: () => undefined, setMocks: () => undefined, close: async () => undefined,
    };
  }
}
