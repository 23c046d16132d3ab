/**
 * One invocation in an instance: reads the arguments, calls the function, sends what it returns or throws, and ends at
 * the deadline whatever the function does.
 *
 * It holds one of the instance's places until it has ended: with its answer, at its deadline, or, when the caller has
 * gone, once the function has settled.
 */
import { CartonError, describe, toWire, type WireError } from '../support/errors';
import { Chunks } from '../support/chunks';
import type { Clock, Timer } from '../support/clock';
import type { InvokePayload } from '../protocol/invocation';
import type { CallListener, IncomingCall } from '../rpc/incoming_call';
import type { StreamSender } from '../rpc/stream';
import type { ApplicationScope, BootedApplication, FunctionLogger } from './application';
import { readArguments } from './arguments';
import { FunctionContextImpl, type ContextSource } from './context';
import type { LoadedFunction } from './functions';
import { closeStream, encodeValue, errorItem, isStream, isThenable, promiseOf, REPLY_KIND, sendItems, sendValue } from './result';
import { LIMITS } from '../support/limits';
import { taggedLogger } from './tagged_logger';
import { wireOfThrown } from './thrown';

/** What an invocation needs of its instance. */
export interface InvocationHost {
  readonly application: BootedApplication;
  readonly revision: string;
  readonly development: boolean;
  readonly clock: Clock;
  /** Notes that the function is about to be called; returns only when the note would survive the process. */
  markBegun(call: IncomingCall): void;
  /** The invocation gives its place back. */
  ended(): void;
  waitUntil(work: Promise<unknown>, logger: FunctionLogger): void;
}

const NO_BODY = Buffer.alloc(0);

export class Invocation implements CallListener, ContextSource {
  readonly payload: InvokePayload;
  readonly deadline: number;
  readonly #host: InvocationHost;
  readonly #call: IncomingCall;
  readonly #function: LoadedFunction;
  readonly #timer: Timer;
  /** Made with the first part of a body that comes as a stream. */
  #body: Chunks | undefined;
  #ended = false;
  #begun = false;
  #abort: AbortController | undefined;
  #abortReason: CartonError | undefined;
  #logger: FunctionLogger | undefined;
  #scope: ApplicationScope | undefined;
  #stream: StreamSender | undefined;

  constructor(host: InvocationHost, call: IncomingCall, payload: InvokePayload, loaded: LoadedFunction) {
    this.#host = host;
    this.#call = call;
    this.payload = payload;
    this.#function = loaded;
    const remainingMs = payload.remainingMs;
    this.deadline = host.clock.wall() + remainingMs;
    this.#timer = host.clock.after(remainingMs, () => this.#onDeadline());
    call.listener = this;
  }

  start(): void {
    if (!this.#call.bodyFollows) this.#begin(this.payload.body);
  }

  get functionName(): string {
    return this.#function.spec.name;
  }

  get revision(): string {
    return this.#host.revision;
  }

  get config(): Readonly<Record<string, unknown>> {
    return this.#host.application.config;
  }

  get logger(): FunctionLogger {
    this.#logger ??= taggedLogger(this.#host.application.logger, this.functionName, () => this.payload.id);
    return this.#logger;
  }

  get scope(): ApplicationScope {
    this.#scope ??= this.#host.application.createScope(this.logger);
    return this.#scope;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#abortReason !== undefined) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  waitUntil(work: Promise<unknown>): void {
    this.#host.waitUntil(work, this.logger);
  }

  onBody(chunk: Buffer): void {
    if (this.#ended) return;
    this.#body ??= new Chunks();
    this.#body.push(chunk);
    if (this.#body.bytes > this.#function.spec.bodyLimitBytes) {
      const expected = `at most ${this.#function.spec.bodyLimitBytes} bytes`;
      return this.#fail(toWire(new CartonError('CARTON_INGRESS_BODY_TOO_LARGE', { of: `function "${this.functionName}"`, expected })));
    }
    this.#call.received?.consumed(chunk.length);
  }

  onBodyEnd(error: WireError | undefined): void {
    if (this.#ended || this.#begun) return;
    if (error !== undefined) return this.#fail(error);
    const body = this.#body?.concat() ?? NO_BODY;
    this.#body = undefined;
    this.#begin(body);
  }

  onCancelled(): void {
    this.#abortWith(new CartonError('CARTON_RUNTIME_CANCELLED', { of: `function "${this.functionName}"` }));
    if (!this.#begun) this.#end();
  }

  #begin(body: Buffer): void {
    if (this.#function.call === undefined) return this.#fail(this.#function.error as WireError);
    let args: unknown[];
    try {
      args = readArguments(this.payload, body);
    } catch (error) {
      return this.#fail(wireOfThrown(error, this.functionName, this.#host.development));
    }
    const context = new FunctionContextImpl(this);
    const scope = this.scope;
    const call = this.#function.call;
    if (!this.#markBegun()) return;
    try {
      const result = scope.run(() => call(context, ...args));
      if (isThenable(result)) promiseOf(result).then((value) => this.#settle(value), (error: unknown) => this.#threw(error));
      else this.#settle(result);
    } catch (error) {
      this.#threw(error);
    }
  }

  /** False where it could not be noted: then the function is not called, because nobody could tell whether it was. */
  #markBegun(): boolean {
    try {
      this.#host.markBegun(this.#call);
    } catch (cause) {
      this.#fail(toWire(new CartonError('CARTON_RUNTIME_BUSY', { of: `function "${this.functionName}"`, expected: 'to note its beginning', got: describe(cause), cause })));
      return false;
    }
    this.#begun = true;
    return true;
  }

  #settle(value: unknown): void {
    if (this.#ended) return void this.#discard(value);
    try {
      if (isStream(value)) return void this.#sendStream(value);
      const text = encodeValue(value);
      if (text === undefined) this.#call.reply();
      else if (text.length <= LIMITS.inlineBodyBytes) this.#call.replyText(text);
      else return void this.#sendLarge(text);
    } catch (error) {
      return this.#threw(error);
    }
    this.#end();
  }

  async #sendLarge(text: string): Promise<void> {
    this.#stream = this.#call.openStream(Buffer.from([REPLY_KIND.value]));
    await sendValue(text, this.#stream);
    this.#end();
  }

  async #sendStream(items: AsyncIterable<unknown>): Promise<void> {
    const format = this.payload.streamFormat;
    this.#stream = this.#call.openStream(Buffer.from([REPLY_KIND.items]));
    try {
      await sendItems(items, this.#stream, format);
      this.#end();
    } catch (error) {
      this.#threw(error);
    }
  }

  /** A result that comes after the end has no reader; a stream among them is closed, not left to fill up. */
  async #discard(value: unknown): Promise<void> {
    try {
      if (isStream(value)) await closeStream(value);
    } catch (error) {
      this.logger.warn(`a stream that came after the end could not be closed: ${describe(error)}`);
    }
  }

  #threw(error: unknown): void {
    if (this.#ended) return;
    // The function hears of its own end through `signal`; that it throws then is no news.
    if (this.#abortReason !== undefined) return this.#end();
    this.logger.error(error);
    this.#fail(wireOfThrown(error, this.functionName, this.#host.development));
  }

  #fail(error: WireError): void {
    if (this.#ended) return;
    if (this.#stream === undefined) {
      this.#call.fail(error);
      // As with a refusal: out before the begin record passes this call.
      if (!this.#begun) this.#call.session.flush();
    } else {
      this.#stream.write(errorItem(error, this.payload.streamFormat));
      this.#stream.end();
    }
    this.#end();
  }

  #onDeadline(): void {
    const reason = new CartonError('CARTON_RUNTIME_TIMEOUT', {
      of: `function "${this.functionName}"`,
      expected: `an answer within ${this.#function.spec.timeoutMs} ms`,
    });
    this.#fail(toWire(reason));
    this.#abortWith(reason);
    this.#end();
  }

  #abortWith(reason: CartonError): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#abort?.abort(reason);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    this.#host.ended();
  }
}
