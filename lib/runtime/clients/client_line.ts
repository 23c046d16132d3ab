/**
 * What stands in an instance for a client that a sidecar holds is made by these rules, whatever the client. Types only.
 */
import type { CallOptions } from '../../rpc/remote_call';
import type { RemoteObject } from '../../rpc/remote';

/** The way from a stand-in to its client. Both calls reject as `SidecarLink.call` does. */
export interface ClientLine {
  /** Calls a method of what the sidecar offers for the client. Objects that stay there come as `RemoteObject`s. */
  call(method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown>;
  /** Calls a method of an object that a call has given. */
  callOn(object: RemoteObject, method: string, args: readonly unknown[], options?: CallOptions): Promise<unknown>;
}

export interface StandInOptions {
  readonly line: ClientLine;
  /** Of this one client, as the plugin's own function that creates clients gets it. Not to be changed. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Resolves modules as the plugin's own files do. */
  readonly require: NodeJS.Require;
}

/** Makes a stand-in, at once and without a call: nobody waits for a sidecar at boot. */
export type MakeStandIn = (options: StandInOptions) => object;
