/**
 * What a process that calls a sidecar says of itself in the handshake. Its token is derived from the very text, so that a
 * sidecar believes it without having been told of the process. Pure.
 */
import { CartonError } from '../support/errors';

export interface Claims {
  /** Id of the instance, or what the process is otherwise; for the log. */
  readonly who: string;
  /** Names of clients that it may use: `mysql` for all of that name, `mysql/db1` for one. Null: all. */
  readonly clients: readonly string[] | null;
}

export function encodeClaims({ who, clients }: Claims): string {
  return JSON.stringify([who, clients]);
}

/** Of a text whose token was right. Throws `CARTON_RPC_BAD_FRAME`. */
export function decodeClaims(text: string): Claims {
  const [who, clients] = parsed(text);
  if (typeof who !== 'string' || !(clients === null || (Array.isArray(clients) && clients.every((name) => typeof name === 'string')))) throw bad(text);
  return { who, clients };
}

/** Whether they cover the client of that name. */
export function mayUse({ clients }: Claims, name: string): boolean {
  return clients === null || clients.includes(name) || clients.includes(partsOf(name).client);
}

/** Of `mysql/db1`: the client, and which of several. */
export function partsOf(name: string): { readonly client: string; readonly id: string | undefined } {
  const at = name.indexOf('/');
  return at < 0 ? { client: name, id: undefined } : { client: name.slice(0, at), id: name.slice(at + 1) };
}

function parsed(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw bad(text);
}

function bad(text: string): CartonError {
  return new CartonError('CARTON_RPC_BAD_FRAME', { of: 'a handshake', expected: 'claims', got: `${text.length} characters` });
}
