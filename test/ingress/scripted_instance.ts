/**
 * An instance as a test scripts it: it listens as a real one does, and the test answers its calls.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceAddress } from '../../lib/protocol/control';
import { InvokePayload } from '../../lib/protocol/invocation';
import { BeginRecord } from '../../lib/rpc/begin_record';
import { listen } from '../../lib/rpc/handshake';
import type { IncomingCall } from '../../lib/rpc/incoming_call';
import type { Session } from '../../lib/rpc/session';

export class ScriptedInstance {
  readonly address: InstanceAddress;
  readonly #directory: string;
  readonly #record: BeginRecord;
  readonly #waiting: ((call: IncomingCall) => void)[] = [];
  readonly #calls: IncomingCall[] = [];
  readonly sessions = new Set<Session>();
  #server: Server | undefined;

  constructor(id: string) {
    this.#directory = mkdtempSync(join(tmpdir(), 'ci-'));
    this.address = { id, socketPath: join(this.#directory, 's'), recordPath: join(this.#directory, 'r'), callToken: id.padEnd(32, '0') };
    this.#record = new BeginRecord(this.address.recordPath);
  }

  async start(): Promise<this> {
    this.#server = await listen(this.address.socketPath, () => ({
      welcome: { slot: 0 },
      handlers: (session) => {
        this.sessions.add(session);
        return {
          onCall: (call) => {
            const next = this.#waiting.shift();
            if (next === undefined) this.#calls.push(call);
            else next(call);
          },
          onClosed: () => void this.sessions.delete(session),
        };
      },
    }));
    return this;
  }

  /** Invocations that have arrived and that the test has not taken. */
  get unanswered(): number {
    return this.#calls.length;
  }

  /** The next invocation that arrives, or has arrived. */
  call(): Promise<IncomingCall> {
    const call = this.#calls.shift();
    return call === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(call);
  }

  /** Index of the function that an invocation is for. */
  static indexOf(call: IncomingCall): number {
    return new InvokePayload(call.payload).functionIndex;
  }

  /** Notes that it has begun, as an instance does before it calls the function. */
  begun(call: IncomingCall): void {
    this.#record.begun(0, call.id);
  }

  /** Ends as a process that was killed does. */
  crash(): void {
    for (const session of this.sessions) session.close();
  }

  close(): void {
    this.crash();
    this.#server?.close();
    this.#record.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
